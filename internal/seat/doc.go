// Package seat limits how many connections a server has, in all and for each client. When all seats are taken, the
// connection that matters least is closed to make room for a newcomer: who has many addresses must not keep everybody
// else out by being there first.
//
// What counts against a connection is for how long it has been idle, in seconds, and one more for each doubling of the
// seats that its client has, and of those that its network (/24, or /48 of IPv6) has. The one with most goes:
//
//   - Silent: it has never asked a whole question (half a message is none). After 2 s, or
//     sooner when a quarter of the seats are of such, that counts as an hour.
//   - Idle: it has been answered, and has asked nothing since.
//   - Stuck: it is being answered, and nothing of the answer has moved for Limits.Stuck, or five times that if nothing
//     was to move yet, since then it is the server that is slow; less for who has many seats.
//     A connection whose answer moves stays; who has an octet of it move now and then is kept only if he has few.
//
// The newcomer is measured by the same measure, so that nobody who has many seats takes one from who has few: if nothing
// counts for a second more against anybody else, it is the newcomer that gets no seat.
//
// Finding that connection costs a logarithm of how many there are, and nothing until the room is full: a connection that
// asks says so in a word of its own, without a lock (but once, for its first question). What is filed of it is brought
// up to date when it would be the next to go.
//
// It is not for requests, which cannot be taken back: those are fairshare's. Nor does it read or write.
package seat
