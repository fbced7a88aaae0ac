// Package ring places keys on members by rendezvous hashing (Thaler and
// Ravishankar, "Using name-based mappings to increase hit rates", 1998): every
// process that knows the same members places a key alike, and a member that
// comes or goes moves only its own share of the keys.
//
// It is not for balancing load: a hot key stays on its one owner.
package ring

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Rank returns the members in the order of their claim on key: the first owns
// it, the next is its stand-in, and so on. The result does not depend on the
// order of members, which is left as it was.
func Rank[M ~string](key string, members []M) []M {
	type claim struct {
		member M
		score  uint64
	}
	claims := make([]claim, len(members))
	for i, m := range members {
		claims[i] = claim{m, score(key, string(m))}
	}
	slices.SortFunc(claims, func(a, b claim) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return strings.Compare(string(a.member), string(b.member))
	})
	ranked := make([]M, len(claims))
	for i, c := range claims {
		ranked[i] = c.member
	}
	return ranked
}

// score is the claim of one member on one key. The zero octet keeps ("a", "bc")
// and ("ab", "c") apart.
func score(key, member string) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.WriteString(member) //nolint:errcheck // a hash never fails
	d.Write([]byte{0})    //nolint:errcheck // a hash never fails
	d.WriteString(key)    //nolint:errcheck // a hash never fails
	return d.Sum64()
}
