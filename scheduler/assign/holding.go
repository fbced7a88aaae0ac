package assign

// holding is the traffic that a POP has taken. Until it has once had too much, only what came to it later is in entries; from then on everything is, as a heap by
// key, the least regretted first.
type holding struct {
	entries []entry
	load    int64
	full    bool
}

// entry is traffic of a group. The key is its regret and, in the lower half, the complement of its number: of equals the last gives way.
type entry struct {
	key    uint64
	amount int64
	rank   uint16
}

func (e *entry) group() uint32 { return ^uint32(e.key) }

// takes reports whether traffic with such a key has any chance.
func (h *holding) takes(key uint64, limit int64) bool {
	return !h.full || h.load < limit || len(h.entries) > 0 && key > h.entries[0].key
}

// push adds an entry.
func (h *holding) push(e entry) {
	h.entries = append(h.entries, e)
	h.load += e.amount
	if !h.full {
		return
	}
	i := len(h.entries) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if h.entries[parent].key <= e.key {
			break
		}
		h.entries[i] = h.entries[parent]
		i = parent
	}
	h.entries[i] = e
}

// pop removes the first entry; the load is the caller's.
func (h *holding) pop() {
	last := len(h.entries) - 1
	h.entries[0] = h.entries[last]
	h.entries = h.entries[:last]
	if last > 1 {
		h.down(0)
	}
}

func (h *holding) down(i int) {
	e := h.entries[i]
	for {
		child := 2*i + 1
		if child >= len(h.entries) {
			break
		}
		if child+1 < len(h.entries) && h.entries[child+1].key < h.entries[child].key {
			child++
		}
		if e.key <= h.entries[child].key {
			break
		}
		h.entries[i] = h.entries[child]
		i = child
	}
	h.entries[i] = e
}

// amounts is what a group gets where.
type amounts struct {
	n      int
	pop    [MaxShares]uint16
	amount [MaxShares]int64
}

// add counts traffic at a POP. Where there are too many already it counts nothing: what is elsewhere then gets it when shares are made.
func (a *amounts) add(p int, amount int64) {
	for i := range a.n {
		if int(a.pop[i]) == p {
			a.amount[i] += amount
			return
		}
	}
	if a.n < MaxShares {
		a.pop[a.n], a.amount[a.n] = uint16(p), amount
		a.n++
	}
}

func (a *amounts) has(p int) bool {
	for i := range a.n {
		if int(a.pop[i]) == p {
			return true
		}
	}
	return false
}

// sub counts traffic that leaves a POP.
func (a *amounts) sub(p int, amount int64) {
	for i := range a.n {
		if int(a.pop[i]) != p {
			continue
		}
		if a.amount[i] -= amount; a.amount[i] <= 0 {
			a.n--
			a.pop[i], a.amount[i] = a.pop[a.n], a.amount[a.n]
		}
		return
	}
}
