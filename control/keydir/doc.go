// Package keydir keeps the keys that sign zones in a folder, for a scheduler that stands alone.
//
// Two files are in it. dnssec.json has the keys, and what is to be: a command changes it (make the next key, confirm one), and so does the scheduler when time brings a
// step, which is the only one to make those. So a key is not ready before a scheduler has published it for long enough. dnssec.status.json is what the
// scheduler tells of itself: which keys it has in force, and which zones it signs.
//
// Files are replaced whole, by one process at a time: who writes has the lock of the folder. Who reads needs none.
// dnssec.json can be copied into another scheduler's folder, which then does the same.
//
// It is not for when a step may come (control/zonekey), nor for signing (scheduler/dnssec). A control plane has its keys in the configuration.
package keydir
