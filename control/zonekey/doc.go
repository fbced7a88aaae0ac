// Package zonekey is the life of the keys that sign zones (RFC 7583, 6781): when which step may come, so that whatever a resolver has cached, of
// keys, of DS records and of signatures, it can always validate. It is pure.
//
// One key signs everything (a combined signing key), so that a roll-over is that of a KSK and of a ZSK at once: the new key is published first, and
// both sign the DNSKEY set until nobody can have the old DS any more.
//
//	state      in the DNSKEY set,  DS at the  signs the  ends
//	           which it signs      parent     zone
//	published  yes                 no         no         after the DNSKEY TTL and the propagation: now every resolver that has keys has this one
//	ready      yes                 becoming   no         when somebody confirms that the parent has its DS, on all of its servers, instead of the old one
//	active     yes                 yes        yes        when the next key becomes active
//	retired    yes                 no         no         after the longer of the DS TTL of the parent and of the life of signatures, and the propagation
//
// The first key is active at once: nobody expects signatures yet. Its DS may be given to the parent when what was not signed is out of caches.
//
//	time               value
//	DNSKEY TTL         [cdn.DNSKEYTTL], an hour
//	propagation        [Propagation], an hour: from a step until every scheduler has it
//	DS TTL             [ParentTTL], two days: what parents use, or more
//	life of signatures [cdn.SignatureLife], five days: no resolver keeps a record longer than its signature is good, whatever TTLs were or are
//	what was unsigned  the longest TTL in the fleet, a day at least
//
// It is not for making keys (internal/dnskey), nor for signing (scheduler/dnssec).
package zonekey
