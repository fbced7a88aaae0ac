// Package seat bounds how many connections a server has, and for each client, and says which of them makes room for a newcomer when all seats are taken: who has many
// addresses must not keep everybody else out by being there first.
//
// Of those that are seated the one that matters least goes. That is one that has never asked a whole question for a while (half a message is none); if there is none, the one that
// has asked nothing for the longest. Whoever has more seats counts for less: each doubling of what a client has, and of what its network has, is as a second without a question. The
// newcomer is measured by the same measure, so that nobody who has many seats takes one from who has few: if nobody else matters less than the newcomer, it is the one to go. A
// connection that is being answered stays, unless nothing of the answer has moved for a while, which is
// shorter for who has many. Whoever has an octet move now and then is kept only if he has few.
//
// To find it costs a logarithm of the number of connections, and nothing until the room is full: a connection that asks says so in a word of its own, without a lock
// (but once, for its first question). What is filed of it is brought up to date when it would be the next to go.
//
// It is not for requests, which cannot be taken back: those are fairshare's. Nor does it read or write.
package seat
