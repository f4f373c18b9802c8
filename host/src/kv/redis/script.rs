//! Operations that Redis has no command for, as scripts that it runs as one step.

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

use crate::hook::KvValue;

/// KEYS: the key. ARGV: whether a value is expected and which; whether there is a new one and
/// which; its time in milliseconds, 0 for no end.
static SWAP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local now = redis.call('GET', KEYS[1])
local same
if ARGV[1] == '1' then same = (now == ARGV[2]) else same = (now == false) end
if not same then return 0 end
if ARGV[3] == '0' then redis.call('DEL', KEYS[1])
elseif ARGV[5] == '0' then redis.call('SET', KEYS[1], ARGV[4])
else redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5]) end
return 1",
    )
});

/// KEYS: the key. ARGV: floor, by, most, time in milliseconds. Numbers go as text: Lua's own are
/// exact to 2^53 and shown as floats.
static RAISE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local text = redis.call('GET', KEYS[1])
local value = tonumber(ARGV[1])
if text then
  local known = string.match(text, '^%-?%d+$') and tonumber(text)
  if not known or math.abs(known) > 9007199254740992 then
    return redis.error_reply('ERR value is not an integer or out of range')
  end
  if known > value then value = known end
end
local sum = value + tonumber(ARGV[2])
if sum > tonumber(ARGV[3]) then return {0, string.format('%.0f', value)} end
if ARGV[4] == '0' then redis.call('SET', KEYS[1], string.format('%.0f', sum))
else redis.call('SET', KEYS[1], string.format('%.0f', sum), 'PX', ARGV[4]) end
return {1, string.format('%.0f', sum)}",
    )
});

/// A time as Redis takes it: milliseconds, at least 1, and 0 for none.
pub(super) fn millis(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1))
}

/// Set or delete a key where its value is as expected.
pub(super) async fn swap(
    connection: &mut MultiplexedConnection,
    key: &[u8],
    expected: Option<Vec<u8>>,
    new: Option<Vec<u8>>,
    ttl: Option<Duration>,
) -> RedisResult<KvValue> {
    let mut call = SWAP.prepare_invoke();
    call.key(key);
    for value in [expected, new] {
        call.arg(u8::from(value.is_some())).arg(value.unwrap_or_default());
    }
    let done: i64 = call.arg(millis(ttl)).invoke_async(connection).await?;
    Ok(KvValue::Done(done == 1))
}

/// Add to a number within bounds: floor, what is added, and the most.
pub(super) async fn raise(
    connection: &mut MultiplexedConnection,
    key: &[u8],
    numbers: [i64; 3],
    ttl: Option<Duration>,
) -> RedisResult<KvValue> {
    let mut call = RAISE.prepare_invoke();
    call.key(key);
    for number in numbers {
        call.arg(number);
    }
    let (done, value): (i64, i64) = call.arg(millis(ttl)).invoke_async(connection).await?;
    Ok(KvValue::Raised(done == 1, value))
}
