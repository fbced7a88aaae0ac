package probe

// missesToDown is how many misses in a row are needed to call a target down.
const missesToDown = 3

// Verdict follows the results of one target. The zero value has no opinion. It is not safe for use by several goroutines at once.
type Verdict struct {
	misses int // in a row, up to missesToDown
	heard  bool
}

// Observe takes a result and reports whether the opinion has changed: three misses in a row are down, one answer is up.
func (v *Verdict) Observe(answered bool) (changed bool) {
	up, known := v.Up()
	if answered {
		*v = Verdict{heard: true}
	} else {
		v.misses = min(v.misses+1, missesToDown)
	}
	nowUp, nowKnown := v.Up()
	return up != nowUp || known != nowKnown
}

// Up returns the opinion; known is false before there is one.
func (v *Verdict) Up() (up, known bool) {
	down := v.misses == missesToDown
	return v.heard && !down, v.heard || down
}
