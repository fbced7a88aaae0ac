package dnssec

import (
	"hash/maphash"
	"sync"

	"nearcast/scheduler/rr"
)

// stripes is how many sets can be signed at once.
const stripes = 64

// Signer signs. Its methods may be called at once from many goroutines.
type Signer struct {
	*Keys

	cache *cache
	turns *[stripes]sync.Mutex // by hash: a set is signed by one at a time
}

// NewSigner returns what signs with the keys. It shares the signatures of the one before, which may be nil and may still be in use: those by a key that is
// still the active one stay good.
func NewSigner(k *Keys, before *Signer) *Signer {
	if before != nil {
		return &Signer{Keys: k, cache: before.cache, turns: before.turns}
	}
	return &Signer{Keys: k, cache: newCache(), turns: new([stripes]sync.Mutex)}
}

// Stats are what a signer has done, and what it has in memory.
type Stats struct {
	Signed  uint64 // signatures that were made; what was asked for beyond that was at hand
	Failed  uint64 // signatures that could not be made
	Evicted uint64 // sets whose signatures were forgotten to make room for others
	Entries int    // sets whose signatures are at hand
	Octets  int    // that they take, at most about [CacheOctets]
}

// Stats returns the numbers of the moment. Signers that share signatures share them.
func (s *Signer) Stats() Stats { return s.cache.stats() }

// AtHand is Sign without signing: it is nil if signatures would have to be made. It is quick whatever is asked for.
func (s *Signer) AtHand(now int64, zone, owner []byte, set *rr.Set) [][]byte {
	e := s.cache.find(s.cache.hash(zone, owner, set), s.active, zone, owner, set)
	if e == nil || now >= e.window.renew || now < e.window.inception {
		return nil
	}
	return e.signatures
}

// Sign returns the RDATA of the RRSIG records of a set, whose TTL is to be the set's own: one by the active key, or if every is true, as
// the DNSKEY set needs it, one by each key. now is in Unix seconds; zone and owner are names in wire form and lower case, owner within zone. A set
// that comes from a wildcard is signed under the name that was asked for. What is returned must not be changed.
//
// It is nil if signing fails, which it does not with keys that could be opened.
func (s *Signer) Sign(now int64, zone, owner []byte, set *rr.Set, every bool) [][]byte {
	hash := s.cache.hash(zone, owner, set)
	e := s.cache.find(hash, s.active, zone, owner, set)
	if e != nil && now < e.window.renew && now >= e.window.inception {
		return e.signatures
	}
	turn := &s.turns[hash%stripes]
	if e == nil || !e.window.good(now) {
		turn.Lock()
	} else if !turn.TryLock() {
		return e.signatures // somebody makes new ones; these are still good
	}
	defer turn.Unlock()
	if e = s.cache.find(hash, s.active, zone, owner, set); e != nil && now < e.window.renew && now >= e.window.inception {
		return e.signatures // made while we waited
	}
	return s.make(hash, now, zone, owner, set, every)
}

// make signs a set and remembers it. Callers hold the set's turn.
func (s *Signer) make(hash uint64, now int64, zone, owner []byte, set *rr.Set, every bool) [][]byte {
	by := []*key{s.active}
	if every {
		by = s.all
	}
	w := windowOf(now, owner)
	signatures := make([][]byte, 0, len(by))
	for _, k := range by {
		signature, err := k.signature(w, zone, owner, set)
		if err != nil {
			s.cache.failed.Add(1)
			return nil
		}
		signatures = append(signatures, signature)
	}
	s.cache.signed.Add(uint64(len(by)))
	s.cache.put(hash, newEntry(s.active, w, zone, owner, set, signatures))
	return signatures
}

// good reports whether a signature can still be given away. In the last hour before its end it is not: it is to be of use to who gets it.
func (w *window) good(now int64) bool { return now >= w.inception && now < w.expiry-hour }

// hash is of everything that an entry is found by. It cannot be foreseen, so that nobody can fill one place of the cache.
func (c *cache) hash(zone, owner []byte, set *rr.Set) uint64 {
	h := maphash.Bytes(c.seed, owner) ^ uint64(set.Type)<<32 ^ uint64(set.TTL) ^ uint64(len(zone))<<56
	for _, data := range set.Data {
		h = h*0x9e3779b97f4a7c15 + maphash.Bytes(c.seed, data)
	}
	return h ^ h>>29
}
