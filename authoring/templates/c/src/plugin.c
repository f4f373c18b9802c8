// Who may open a WebSocket, and what may be said on it.
//
// The names come from build/plugin.h, which `tidegate plugin build` makes of wit/. Two rules of
// theirs: what a function is given is freed here, and what it returns is freed by the caller.
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

typedef plugin_string_t text;
typedef exports_tidegate_plugin_authorizer_verdict_t access;
typedef exports_tidegate_plugin_messages_verdict_t verdict;

enum { MOST_WORDS = 64 };

struct list {
  text items[MOST_WORDS];
  size_t length;
};

static struct list origins, words, banned;
static uint32_t patience = 3;

// What is known of an open tunnel: how many of its client's words were filtered.
struct tunnel {
  uint64_t number;
  uint32_t filtered;
  struct tunnel *next;
};
static struct tunnel *tunnels;

static void *make(size_t size) {
  void *memory = malloc(size ? size : 1);
  if (!memory) abort();
  return memory;
}

static text view(const char *s) { return (text){(uint8_t *)s, strlen(s)}; }

// Empty ones have no memory: the bindings would not free it.
static void copy(uint8_t **ptr, size_t *len, const void *bytes, size_t length) {
  *ptr = length ? memcpy(make(length), bytes, length) : NULL;
  *len = length;
}

static bool same(const uint8_t *a, size_t length, text b) { return length == b.len && memcmp(a, b.ptr, length) == 0; }

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

// Decimal digits of `n`, and a zero byte; `out` has room for 11.
static void digits(uint32_t n, char *out) {
  char reversed[10];
  size_t length = 0;
  do reversed[length++] = '0' + n % 10;
  while (n /= 10);
  while (length) *out++ = reversed[--length];
  *out = 0;
}

// ---- configuration ----

// The strings of a list in the configuration: /NAME/0, /NAME/1, … False and `wrong` for an empty one.
static bool read_list(const char *name, struct list *list, char *wrong) {
  for (list->length = 0; list->length < MOST_WORDS; list->length++) {
    char pointer[32] = "/";
    strcat(strcat(pointer, name), "/");
    digits(list->length, pointer + strlen(pointer));
    text path = view(pointer), *item = &list->items[list->length];
    if (!tidegate_plugin_config_get(&path, item)) return true;
    if (item->len == 0) {
      strcat(strcpy(wrong, pointer), ": must not be empty");
      return false;
    }
  }
  return true;
}

bool exports_tidegate_plugin_lifecycle_configure(plugin_string_t *document, plugin_string_t *err) {
  plugin_string_free(document);
  char wrong[64];
  if (!read_list("origins", &origins, wrong) || !read_list("words", &words, wrong) ||
      !read_list("banned", &banned, wrong)) {
    plugin_string_dup(err, wrong);
    return false;
  }
  text path = view("/patience"), value;
  if (tidegate_plugin_config_get(&path, &value)) {
    patience = 0;
    for (size_t i = 0; i < value.len; i++) patience = patience * 10 + (value.ptr[i] - '0');
    plugin_string_free(&value);
  }
  return true;
}

// ---- authorizer: who may open ----

static void deny(access *ret, const char *why) {
  ret->tag = EXPORTS_TIDEGATE_PLUGIN_AUTHORIZER_VERDICT_DENY;
  tidegate_plugin_types_local_reply_t *reply = &ret->val.deny;
  reply->status = 403;
  reply->fields.len = 1;
  reply->fields.ptr = make(sizeof *reply->fields.ptr);
  plugin_string_dup(&reply->fields.ptr->name, "content-type");
  copy(&reply->fields.ptr->value.ptr, &reply->fields.ptr->value.len, "text/plain", 10);
  copy(&reply->body.ptr, &reply->body.len, why, strlen(why));
}

void exports_tidegate_plugin_authorizer_authorize(access *ret) {
  text name = view("origin");
  tidegate_plugin_types_field_value_t origin;
  if (!tidegate_plugin_request_get(&name, &origin)) return deny(ret, "origin missing\n");
  bool known = false;
  for (size_t i = 0; i < origins.length; i++) known |= same(origin.ptr, origin.len, origins.items[i]);
  if (!known) {
    tidegate_plugin_types_field_value_free(&origin);
    return deny(ret, "origin not allowed\n");
  }
  ret->tag = EXPORTS_TIDEGATE_PLUGIN_AUTHORIZER_VERDICT_GRANT;
  exports_tidegate_plugin_authorizer_grant_t *grant = &ret->val.grant;
  grant->variables.len = 1;
  grant->variables.ptr = make(sizeof *grant->variables.ptr);
  plugin_string_dup(&grant->variables.ptr->name, "visitor_origin");
  // A known origin is UTF-8, as the configuration is; its memory is the answer's now.
  grant->variables.ptr->value = (text){origin.ptr, origin.len};
  grant->edits.len = 2;
  grant->edits.ptr = make(2 * sizeof *grant->edits.ptr);
  tidegate_plugin_types_field_edit_t *set = &grant->edits.ptr[0], *remove = &grant->edits.ptr[1];
  set->operation = TIDEGATE_PLUGIN_TYPES_EDIT_OPERATION_SET;
  plugin_string_dup(&set->name, "x-checked-by");
  copy(&set->value.ptr, &set->value.len, "c", 1);
  remove->operation = TIDEGATE_PLUGIN_TYPES_EDIT_OPERATION_REMOVE;
  plugin_string_dup(&remove->name, "x-internal");
  copy(&remove->value.ptr, &remove->value.len, "", 0);
}

// ---- messages: what may be said ----

bool exports_tidegate_plugin_messages_open(uint64_t number, exports_tidegate_plugin_messages_subscription_t *ret) {
  struct tunnel *tunnel = make(sizeof *tunnel);
  *tunnel = (struct tunnel){.number = number, .next = tunnels};
  tunnels = tunnel;
  ret->interest = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_INTEREST_TEXT_TO_UPSTREAM |
                  EXPORTS_TIDEGATE_PLUGIN_MESSAGES_INTEREST_TEXT_TO_CLIENT;
  ret->first.is_some = false;
  return true;
}

void exports_tidegate_plugin_messages_close(uint64_t number) {
  for (struct tunnel **at = &tunnels; *at; at = &(*at)->next) {
    if ((*at)->number != number) continue;
    struct tunnel *gone = *at;
    *at = gone->next;
    free(gone);
    return;
  }
}

// The length of the word of the list that stands at `at`, in any case; 0 where none does.
static size_t word_at(const struct list *list, const uint8_t *at, size_t rest) {
  for (size_t i = 0; i < list->length; i++) {
    const text *word = &list->items[i];
    size_t n = 0;
    while (n < word->len && n < rest && lower(at[n]) == lower(word->ptr[n])) n++;
    if (n == word->len) return n;
  }
  return 0;
}

// Mask the words in their place; how many there were.
static uint32_t mask(plugin_list_u8_t *data) {
  uint32_t found = 0;
  for (size_t i = 0; i < data->len;) {
    size_t length = word_at(&words, data->ptr + i, data->len - i);
    if (!length) {
      i++;
      continue;
    }
    memset(data->ptr + i, '*', length);
    i += length;
    found++;
  }
  return found;
}

static void answer_count(verdict *ret, const struct tunnel *tunnel) {
  char said[32] = "filtered: ";
  digits(tunnel->filtered, said + strlen(said));
  ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_INJECT;
  ret->val.inject.pass = false;
  ret->val.inject.messages.len = 1;
  exports_tidegate_plugin_messages_outgoing_t *message = ret->val.inject.messages.ptr = make(sizeof *message);
  message->way = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_WAY_TO_CLIENT;
  message->text = true;
  copy(&message->data.ptr, &message->data.len, said, strlen(said));
}

void exports_tidegate_plugin_messages_on_message(uint64_t number, exports_tidegate_plugin_messages_message_t *message,
                                                 plugin_list_u8_t *data, verdict *ret) {
  bool of_client = message->way == EXPORTS_TIDEGATE_PLUGIN_MESSAGES_WAY_TO_UPSTREAM;
  struct tunnel *tunnel = tunnels;
  while (tunnel && tunnel->number != number) tunnel = tunnel->next;
  ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_PASS;

  if (of_client && tunnel && same(data->ptr, data->len, view("/count"))) {
    plugin_list_u8_free(data);
    return answer_count(ret, tunnel);
  }
  bool drop = false;
  for (size_t i = 0; i < data->len; i++) drop |= word_at(&banned, data->ptr + i, data->len - i) > 0;
  uint32_t found = drop ? 1 : mask(data);
  if (found == 0) {
    plugin_list_u8_free(data);
    return;
  }
  if (of_client && tunnel && (tunnel->filtered += found) > patience) {
    plugin_list_u8_free(data);
    text line = view("a client was shown out");
    tidegate_plugin_log_write(TIDEGATE_PLUGIN_LOG_LEVEL_WARN, &line);
    ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_CLOSE;
    ret->val.close.code = 1008;
    plugin_string_dup(&ret->val.close.reason, "mind your words");
  } else if (drop) {
    plugin_list_u8_free(data);
    ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_DROP;
  } else {
    ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_REPLACE;
    ret->val.replace = *data;
  }
}
