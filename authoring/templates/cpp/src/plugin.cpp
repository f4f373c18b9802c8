// Who may open a WebSocket, and what may be said on it.
//
// On the C bindings of build/plugin.h, which `tidegate plugin build` makes of wit/: wit-bindgen's
// C++ generator lowers lists of variants wrongly. What a function is given is freed here, and what
// it returns is freed by the caller.
#include "plugin.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

using std::string;
using std::string_view;
using Verdict = exports_tidegate_plugin_messages_verdict_t;

std::vector<string> origins, words, banned;
uint32_t patience = 3;
// What is known of each open tunnel: how many of its client's words were filtered.
std::unordered_map<uint64_t, uint32_t> filtered;

// A string or list of bytes of the bindings, as a view.
template <class T> string_view view(const T &bytes) { return {reinterpret_cast<const char *>(bytes.ptr), bytes.len}; }

// A string to be passed, which stays its owner's.
plugin_string_t lend(string_view s) { return {reinterpret_cast<uint8_t *>(const_cast<char *>(s.data())), s.size()}; }

template <class T> T *make(size_t count = 1) {
  auto *memory = static_cast<T *>(std::calloc(std::max<size_t>(count, 1), sizeof(T)));
  if (!memory) std::abort();
  return memory;
}

// A copy that is given away, as a string or list of bytes of the bindings. Empty ones have no
// memory: the bindings would not free it.
template <class T> void give(T &out, string_view s) {
  out.ptr = nullptr;
  out.len = s.size();
  if (!s.empty()) {
    out.ptr = make<uint8_t>(s.size());
    std::memcpy(out.ptr, s.data(), s.size());
  }
}

// Bytes that were given to us. Empty ones have no memory.
template <class T> string take(const T &bytes) {
  string taken(view(bytes));
  if (bytes.len > 0) std::free(bytes.ptr);
  return taken;
}

// ---- configuration ----

bool configured(string_view pointer, string &out) {
  auto path = lend(pointer);
  plugin_string_t value;
  if (!tidegate_plugin_config_get(&path, &value)) return false;
  out = take(value);
  return true;
}

// The strings of a list in the configuration: /NAME/0, /NAME/1, … Says what is wrong with it.
string read_list(const string &name, std::vector<string> &list) {
  list.clear();
  for (string item;; list.push_back(item)) {
    auto pointer = "/" + name + "/" + std::to_string(list.size());
    if (!configured(pointer, item)) return "";
    if (item.empty()) return pointer + ": must not be empty";
  }
}

// ---- messages ----

char lower(char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

// The length of the word of the list that the text begins with, in any case; 0 where with none.
size_t word_at(const std::vector<string> &list, string_view text) {
  for (const auto &word : list) {
    if (text.size() < word.size()) continue;
    if (std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) { return lower(a) == lower(b); }))
      return word.size();
  }
  return 0;
}

// Mask the words in their place; how many there were.
uint32_t mask(string &text) {
  uint32_t found = 0;
  for (size_t i = 0; i < text.size();) {
    auto length = word_at(words, string_view(text).substr(i));
    text.replace(i, length, length, '*');
    found += length > 0;
    i += std::max<size_t>(length, 1);
  }
  return found;
}

bool is_banned(string_view text) {
  for (size_t i = 0; i < text.size(); i++)
    if (word_at(banned, text.substr(i))) return true;
  return false;
}

} // namespace

extern "C" bool exports_tidegate_plugin_lifecycle_configure(plugin_string_t *document, plugin_string_t *err) {
  take(*document);
  auto wrong = read_list("origins", origins);
  if (wrong.empty()) wrong = read_list("words", words);
  if (wrong.empty()) wrong = read_list("banned", banned);
  if (!wrong.empty()) {
    give(*err, wrong);
    return false;
  }
  if (string value; configured("/patience", value)) std::from_chars(value.data(), value.data() + value.size(), patience);
  return true;
}

// ---- authorizer: who may open ----

static void deny(exports_tidegate_plugin_authorizer_verdict_t *ret, string_view why) {
  ret->tag = EXPORTS_TIDEGATE_PLUGIN_AUTHORIZER_VERDICT_DENY;
  auto &reply = ret->val.deny;
  reply.status = 403;
  reply.fields = {make<tidegate_plugin_types_field_t>(), 1};
  give(reply.fields.ptr->name, "content-type");
  give(reply.fields.ptr->value, "text/plain");
  give(reply.body, why);
}

extern "C" void exports_tidegate_plugin_authorizer_authorize(exports_tidegate_plugin_authorizer_verdict_t *ret) {
  auto name = lend("origin");
  tidegate_plugin_types_field_value_t value;
  if (!tidegate_plugin_request_get(&name, &value)) return deny(ret, "origin missing\n");
  auto origin = take(value);
  if (std::find(origins.begin(), origins.end(), origin) == origins.end()) return deny(ret, "origin not allowed\n");
  ret->tag = EXPORTS_TIDEGATE_PLUGIN_AUTHORIZER_VERDICT_GRANT;
  auto &grant = ret->val.grant;
  grant.variables = {make<tidegate_plugin_types_variable_t>(), 1};
  give(grant.variables.ptr->name, "visitor_origin");
  give(grant.variables.ptr->value, origin);
  grant.edits = {make<tidegate_plugin_types_field_edit_t>(2), 2};
  auto &set = grant.edits.ptr[0], &remove = grant.edits.ptr[1];
  set.operation = TIDEGATE_PLUGIN_TYPES_EDIT_OPERATION_SET;
  give(set.name, "x-checked-by");
  give(set.value, "cpp");
  remove.operation = TIDEGATE_PLUGIN_TYPES_EDIT_OPERATION_REMOVE;
  give(remove.name, "x-internal");
  give(remove.value, "");
}

// ---- messages: what may be said ----

extern "C" bool exports_tidegate_plugin_messages_open(uint64_t tunnel,
                                                      exports_tidegate_plugin_messages_subscription_t *ret) {
  filtered[tunnel] = 0;
  ret->interest = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_INTEREST_TEXT_TO_UPSTREAM |
                  EXPORTS_TIDEGATE_PLUGIN_MESSAGES_INTEREST_TEXT_TO_CLIENT;
  ret->first.is_some = false;
  return true;
}

extern "C" void exports_tidegate_plugin_messages_close(uint64_t tunnel) { filtered.erase(tunnel); }

extern "C" void exports_tidegate_plugin_messages_on_message(uint64_t tunnel,
                                                            exports_tidegate_plugin_messages_message_t *message,
                                                            plugin_list_u8_t *data, Verdict *ret) {
  auto text = take(*data);
  auto of_client = message->way == EXPORTS_TIDEGATE_PLUGIN_MESSAGES_WAY_TO_UPSTREAM;
  ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_PASS;

  if (of_client && text == "/count") {
    ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_INJECT;
    auto *said = make<exports_tidegate_plugin_messages_outgoing_t>();
    said->way = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_WAY_TO_CLIENT;
    said->text = true;
    give(said->data, "filtered: " + std::to_string(filtered[tunnel]));
    ret->val.inject = {{said, 1}, false};
    return;
  }
  auto drop = is_banned(text);
  auto found = drop ? 1 : mask(text);
  if (found == 0) return;
  if (of_client && (filtered[tunnel] += found) > patience) {
    auto line = lend("a client was shown out");
    tidegate_plugin_log_write(TIDEGATE_PLUGIN_LOG_LEVEL_WARN, &line);
    ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_CLOSE;
    ret->val.close.code = 1008;
    give(ret->val.close.reason, "mind your words");
  } else if (drop) {
    ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_DROP;
  } else {
    ret->tag = EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_REPLACE;
    give(ret->val.replace, text);
  }
}
