// Package zone knows which names exist in the zones of the schedulers, and what is at them: static records, name servers, delegations, and the
// steered names, which lead to the best POP.
//
// It reads the text of records when a [Set] is compiled; afterwards [Set.Find] and [Set.Host] take the same small time whatever is asked, with
// millions of names, without allocating. A Set is immutable. One that is compiled after another shares all that has not changed with it.
//
// It does not decide which POP it is, and makes no messages.
package zone
