package cookie

// NewFixed returns a jar whose keys are the same on every day, as the RFC's examples have them.
func NewFixed(secret []byte, others ...[]byte) *Jar {
	s := &schedule{first: 0}
	for _, b := range append([][]byte{secret}, others...) {
		s.days[0] = append(s.days[0], keyOf(b))
	}
	s.days[1], s.days[2] = s.days[0], s.days[0]
	j := &Jar{}
	j.keys.Store(s)
	return j
}

// SetDay moves a fixed jar to the days around a time.
func (j *Jar) SetDay(now int64) { j.keys.Load().first = floorDay(now) - 1 }
