//! Who may open a WebSocket, and what may be said on it.
//!
//! The names of `c` are those of build/plugin.h, which `tidegate plugin build` makes of wit/. Two rules
//! of theirs: what a function is given is freed here, and what it returns is freed by the caller.
const std = @import("std");
const c = @import("c");

const allocator = std.heap.c_allocator;
const Access = c.exports_tidegate_plugin_authorizer_verdict_t;
const Verdict = c.exports_tidegate_plugin_messages_verdict_t;
const Words = std.ArrayListUnmanaged([]const u8);

var origins: Words = .empty;
var words: Words = .empty;
var banned: Words = .empty;
var patience: u32 = 3;
// What is known of each open tunnel: how many of its client's words were filtered.
var filtered: std.AutoHashMapUnmanaged(u64, u32) = .empty;

fn lend(text: []const u8) c.plugin_string_t {
    return .{ .ptr = @constCast(text.ptr), .len = text.len };
}

/// A copy that is given away, as any string or list of bytes of the bindings. Empty ones have no memory:
/// the bindings would not free it.
fn give(comptime T: type, text: []const u8) T {
    if (text.len == 0) return .{ .ptr = null, .len = 0 };
    const memory: []u8 = allocator.dupe(u8, text) catch @trap();
    return .{ .ptr = memory.ptr, .len = text.len };
}

fn string(text: []const u8) c.plugin_string_t {
    return give(c.plugin_string_t, text);
}

fn value(text: []const u8) c.tidegate_plugin_types_field_value_t {
    return give(c.tidegate_plugin_types_field_value_t, text);
}

fn make(comptime T: type, count: usize) []T {
    return allocator.alloc(T, count) catch @trap();
}

/// The bytes of a string or list of the bindings; an empty one has no memory.
fn view(bytes: anytype) []u8 {
    return if (bytes.len == 0) &.{} else bytes.ptr[0..bytes.len];
}

// ---- configuration ----

/// One value of the configuration by JSON pointer; ours to free.
fn configured(pointer: []const u8) ?[]u8 {
    var path = lend(pointer);
    var found: c.plugin_string_t = undefined;
    return if (c.tidegate_plugin_config_get(&path, &found)) view(found) else null;
}

/// The strings of a list in the configuration: /NAME/0, /NAME/1, …; gives what is wrong with it.
fn readList(comptime name: []const u8, list: *Words) ?[]const u8 {
    list.clearRetainingCapacity();
    while (true) {
        const pointer = std.fmt.allocPrint(allocator, "/" ++ name ++ "/{d}", .{list.items.len}) catch @trap();
        defer allocator.free(pointer);
        const item = configured(pointer) orelse return null;
        if (item.len == 0) return std.fmt.allocPrint(allocator, "{s}: must not be empty", .{pointer}) catch @trap();
        list.append(allocator, item) catch @trap();
    }
}

export fn exports_tidegate_plugin_lifecycle_configure(document: *c.plugin_string_t, err: *c.plugin_string_t) bool {
    c.plugin_string_free(document);
    const wrong = readList("origins", &origins) orelse readList("words", &words) orelse readList("banned", &banned);
    if (wrong) |text| {
        err.* = lend(text); // it is the caller's now
        return false;
    }
    if (configured("/patience")) |text| {
        defer allocator.free(text);
        patience = std.fmt.parseInt(u32, text, 10) catch patience;
    }
    return true;
}

// ---- authorizer: who may open ----

fn deny(why: []const u8) Access {
    const fields = make(c.tidegate_plugin_types_field_t, 1);
    fields[0] = .{ .name = string("content-type"), .value = value("text/plain") };
    return .{
        .tag = c.EXPORTS_TIDEGATE_PLUGIN_AUTHORIZER_VERDICT_DENY,
        .val = .{ .deny = .{
            .status = 403,
            .fields = .{ .ptr = fields.ptr, .len = fields.len },
            .body = give(c.plugin_list_u8_t, why),
        } },
    };
}

fn authorize() Access {
    var name = lend("origin");
    var header: c.tidegate_plugin_types_field_value_t = undefined;
    if (!c.tidegate_plugin_request_get(&name, &header)) return deny("origin missing\n");
    defer c.tidegate_plugin_types_field_value_free(&header);
    const origin = view(header);
    for (origins.items) |known| {
        if (!std.mem.eql(u8, known, origin)) continue;
        const variables = make(c.tidegate_plugin_types_variable_t, 1);
        variables[0] = .{ .name = string("visitor_origin"), .value = string(origin) };
        const edits = make(c.tidegate_plugin_types_field_edit_t, 2);
        edits[0] = .{
            .operation = c.TIDEGATE_PLUGIN_TYPES_EDIT_OPERATION_SET,
            .name = string("x-checked-by"),
            .value = value("zig"),
        };
        edits[1] = .{
            .operation = c.TIDEGATE_PLUGIN_TYPES_EDIT_OPERATION_REMOVE,
            .name = string("x-internal"),
            .value = value(""),
        };
        return .{
            .tag = c.EXPORTS_TIDEGATE_PLUGIN_AUTHORIZER_VERDICT_GRANT,
            .val = .{ .grant = .{
                .variables = .{ .ptr = variables.ptr, .len = variables.len },
                .edits = .{ .ptr = edits.ptr, .len = edits.len },
            } },
        };
    }
    return deny("origin not allowed\n");
}

export fn exports_tidegate_plugin_authorizer_authorize(ret: *Access) void {
    ret.* = authorize();
}

// ---- messages: what may be said ----

export fn exports_tidegate_plugin_messages_open(
    tunnel: u64,
    ret: *c.exports_tidegate_plugin_messages_subscription_t,
) bool {
    filtered.put(allocator, tunnel, 0) catch @trap();
    ret.interest = c.EXPORTS_TIDEGATE_PLUGIN_MESSAGES_INTEREST_TEXT_TO_UPSTREAM |
        c.EXPORTS_TIDEGATE_PLUGIN_MESSAGES_INTEREST_TEXT_TO_CLIENT;
    ret.first.is_some = false;
    return true;
}

export fn exports_tidegate_plugin_messages_close(tunnel: u64) void {
    _ = filtered.remove(tunnel);
}

/// The length of the word of the list that the text begins with, in any case; 0 where with none.
fn wordAt(list: Words, text: []const u8) usize {
    for (list.items) |word| {
        if (std.ascii.startsWithIgnoreCase(text, word)) return word.len;
    }
    return 0;
}

fn isBanned(text: []const u8) bool {
    for (0..text.len) |i| {
        if (wordAt(banned, text[i..]) > 0) return true;
    }
    return false;
}

/// Mask the words in their place; how many there were.
fn mask(text: []u8) u32 {
    var found: u32 = 0;
    var i: usize = 0;
    while (i < text.len) {
        const length = wordAt(words, text[i..]);
        @memset(text[i..][0..length], '*');
        if (length > 0) found += 1;
        i += @max(length, 1);
    }
    return found;
}

fn judge(tunnel: u64, of_client: bool, text: []u8) Verdict {
    const count = filtered.getPtr(tunnel) orelse @trap();
    if (of_client and std.mem.eql(u8, text, "/count")) {
        var line: [32]u8 = undefined;
        const said = std.fmt.bufPrint(&line, "filtered: {d}", .{count.*}) catch @trap();
        const messages = make(c.exports_tidegate_plugin_messages_outgoing_t, 1);
        messages[0] = .{
            .way = c.EXPORTS_TIDEGATE_PLUGIN_MESSAGES_WAY_TO_CLIENT,
            .text = true,
            .data = give(c.plugin_list_u8_t, said),
        };
        return .{
            .tag = c.EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_INJECT,
            .val = .{ .inject = .{ .messages = .{ .ptr = messages.ptr, .len = 1 }, .pass = false } },
        };
    }
    const drop = isBanned(text);
    const found = if (drop) 1 else mask(text);
    if (found == 0) return .{ .tag = c.EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_PASS };
    if (of_client) {
        count.* += found;
        if (count.* > patience) {
            var line = lend("a client was shown out");
            c.tidegate_plugin_log_write(c.TIDEGATE_PLUGIN_LOG_LEVEL_WARN, &line);
            return .{
                .tag = c.EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_CLOSE,
                .val = .{ .close = .{ .code = 1008, .reason = string("mind your words") } },
            };
        }
    }
    if (drop) return .{ .tag = c.EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_DROP };
    return .{
        .tag = c.EXPORTS_TIDEGATE_PLUGIN_MESSAGES_VERDICT_REPLACE,
        .val = .{ .replace = give(c.plugin_list_u8_t, text) },
    };
}

export fn exports_tidegate_plugin_messages_on_message(
    tunnel: u64,
    message: *c.exports_tidegate_plugin_messages_message_t,
    data: *c.plugin_list_u8_t,
    ret: *Verdict,
) void {
    defer c.plugin_list_u8_free(data);
    ret.* = judge(tunnel, message.way == c.EXPORTS_TIDEGATE_PLUGIN_MESSAGES_WAY_TO_UPSTREAM, view(data.*));
}
