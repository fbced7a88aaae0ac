package dnsmutate_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"

	"nearcast/scheduler/dnswire/dnsmutate"
)

// Queries are what clients send, and mutants are mostly neither these nor noise: many are still read to their end.
func TestMutate(t *testing.T) {
	queries := dnsmutate.Queries("cdn.test.", "d1.cdn.test.")
	if len(queries) < 30 {
		t.Fatalf("%d queries", len(queries))
	}
	for _, q := range queries {
		if err := new(dns.Msg).Unpack(q); err != nil {
			t.Errorf("%x: %v", q, err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	same, whole, longest := 0, 0, 0
	const n = 20_000
	for i := range n {
		query := queries[i%len(queries)]
		before := bytes.Clone(query)
		mutant := dnsmutate.Mutate(rng, []byte("kept"), query)
		if !bytes.Equal(query, before) || string(mutant[:4]) != "kept" {
			t.Fatal("what was given has changed")
		}
		mutant = mutant[4:]
		longest = max(longest, len(mutant))
		if bytes.Equal(mutant, query) {
			same++
		}
		if new(dns.Msg).Unpack(mutant) == nil {
			whole++
		}
	}
	if same > n/10 || whole < n/10 || whole > n*9/10 || longest > 1472 {
		t.Errorf("of %d mutants %d are as before, %d can be read, and the longest has %d octets", n, same, whole, longest)
	}
}
