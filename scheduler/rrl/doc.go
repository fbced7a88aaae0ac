// Package rrl is response rate limiting: it bounds how many answers over UDP a network gets, because whoever sends queries with somebody
// else's address makes a name server shoot at that address.
//
// Every answer is paid for by the address and the networks around it, each with a token bucket of its own: of IPv4 the address, its /24 (32
// times as much as an address), /20 (256 times) and /18 (768 times); of IPv6 the /64, /56 (twice as much), /48 (4 times) and /32 (64 times).
// A query is answered if all of them can pay, and only then they do: who floods one network uses up what that has, and leaves its
// neighbours theirs.
//
// The buckets are in tables of 1.4 MiB, whatever comes. A bucket is one number, the time at which it will be full again, beside 20 bits of a
// keyed hash that say whose it is. A bucket that is full need not be remembered. Where there is no room for another, the fullest
// one is forgotten: a flood from addresses that are made up, each seen once, forgets others of its kind and never the networks that have had much.
// Nothing is locked and nothing allocated. The chance that two networks are taken for one, and limited together, is below one in 10,000 in a flood, and
// far lower else.
//
// It is not for streams, nor for peers that have shown by a cookie that they can receive what they ask for: ask them nothing.
package rrl
