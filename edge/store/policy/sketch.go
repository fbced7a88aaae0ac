package policy

// sketch estimates how often a hash was seen lately: a count-min sketch of four rows of four-bit counters, all of which are halved once as
// many have been counted as ten times the entries it is made for.
type sketch struct {
	words   []uint64 // 16 counters each: 4 of each row
	entries int      // that it is made for
	counted int
}

func newSketch() sketch { return sketch{words: make([]uint64, 64), entries: 64} }

// fit makes it large enough for so many entries. What was counted stays: a counter of a sketch half as large is right for both of those that
// replace it.
func (k *sketch) fit(entries int) {
	for len(k.words) < entries {
		k.words = append(k.words, k.words...)
	}
	k.entries = max(k.entries, entries)
}

// counter is the word and the shift of a hash's counter in a row.
func (k *sketch) counter(mixed uint64, row int) (word *uint64, shift uint) {
	h := mix(mixed + uint64(row)*0x9e3779b97f4a7c15)
	return &k.words[h&uint64(len(k.words)-1)], uint(row)*16 + uint(h>>62)*4
}

func (k *sketch) add(hash uint64) {
	hash = mix(hash)
	added := false
	for row := range 4 {
		if w, shift := k.counter(hash, row); *w>>shift&15 < 15 {
			*w += 1 << shift
			added = true
		}
	}
	if !added {
		return
	}
	if k.counted++; k.counted >= 10*k.entries {
		k.age()
	}
}

func (k *sketch) age() {
	for i := range k.words {
		k.words[i] = k.words[i] >> 1 & 0x7777777777777777
	}
	k.counted /= 2
}

func (k *sketch) estimate(hash uint64) int {
	hash = mix(hash)
	least := 15
	for row := range 4 {
		w, shift := k.counter(hash, row)
		least = min(least, int(*w>>shift&15))
	}
	return least
}
