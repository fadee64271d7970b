/** What the servers are asked to do at one moment, as Lua: a script is not interrupted by any client. */

/**
 * KEYS of one slot. Returns for each key SHA-1 of its DUMP, its expiry (ms since 1970, -1 without) and the DUMP's bytes; an empty
 * digest for a key that is not there. So contents are compared where they are, and travel to nobody.
 */
export const DIGEST_SCRIPT = `
local told = {}
for i, key in ipairs(KEYS) do
  local dump = redis.call('DUMP', key)
  told[3 * i - 2] = dump and redis.sha1hex(dump) or ''
  told[3 * i - 1] = dump and redis.call('PEXPIRETIME', key) or -2
  told[3 * i] = dump and #dump or 0
end
return told`;

/** Values of DIGEST_SCRIPT for each key. */
export const DIGEST_WIDTH = 3;

/**
 * At the source. KEYS: all keys of the slot that have a copy at the target. ARGV: slot, target's id, deadline (ms since 1970 by this
 * server's clock), then for each key its digest and expiry when it was copied.
 *
 * Either every copy is what its key is now: then the slot is opened (MIGRATING) and those keys are deleted here, at one moment,
 * after which the copies are the keys; returned is how many keys are left, that have no copy. Or nothing is done, and NOT_HANDED_OVER is
 * returned, and the places of keys that have changed. A copy that is not
 * its key's must never be at the target of an open slot: whoever deletes that key here would find it there again.
 *
 * Servers refuse writes for many reasons (too few replicas, read-only after a demotion); the first deletion tells, and the slot
 * is closed again as if nothing had been. After it nothing may fail, or the copies of deleted keys would be removed: what is left here
 * moves by itself.
 */
export const HAND_OVER_SCRIPT = `
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[3]) then
  return redis.error_reply('ERR this hand-over came too late')
end
local changed = { -1 }
for i, key in ipairs(KEYS) do
  local dump = redis.call('DUMP', key)
  local isSame = dump and redis.sha1hex(dump) == ARGV[2 * i + 2]
    and redis.call('PEXPIRETIME', key) == tonumber(ARGV[2 * i + 3])
  if not isSame then changed[#changed + 1] = i end
end
if #changed > 1 then return changed end
local opened = redis.pcall('CLUSTER', 'SETSLOT', ARGV[1], 'MIGRATING', ARGV[2])
if type(opened) == 'table' and opened.err then return opened end
for i, key in ipairs(KEYS) do
  local gone = redis.pcall('UNLINK', key)
  if type(gone) == 'table' and gone.err then
    if i > 1 then break end
    redis.call('CLUSTER', 'SETSLOT', ARGV[1], 'STABLE')
    return gone
  end
end
local left = redis.pcall('CLUSTER', 'COUNTKEYSINSLOT', ARGV[1])
return { type(left) == 'number' and left or 1 }`;

export const NOT_HANDED_OVER = -1;
