package respond

import (
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/rrl"
)

// Sizes of what is remembered. Nothing that is longer is.
const (
	recallRows   = 1 << 12
	recallWays   = 4   // rows that the same query may be in
	recallQuery  = 128 // octets
	recallAnswer = 320
)

// memory is the last steered answers over UDP of one goroutine, by the octets of their queries: the same query within the same second, of the same client, has
// the same answer as long as the state is the same. Of queries in numbers most are of few names and networks. A flood of others only pushes out rows.
type memory struct {
	state *State // of the rows of this epoch
	epoch uint64
	seed  maphash.Seed
	turn  uint8
	last  uint64             // hash of the packet that was looked for last
	once  [recallRows]uint64 // hashes of packets that were looked for and not remembered: most come once only, and need no row
	tags  [recallRows]uint64 // hashes of the rows' queries
	rows  [recallRows]row
}

// row is one answer. It points to no state: that would keep what is answered from long after its time.
type row struct {
	epoch    uint64
	second   int64
	peer     netip.Addr // for whom it is; the zero value if the query says that
	counters [3]prometheus.Counter
	asked    int // octets
	said     int
	query    [recallQuery]byte // without the ID
	answer   [recallAnswer]byte
}

// hash is of a packet but its ID. Nobody can foresee it.
func (m *memory) hash(packet []byte) uint64 { return maphash.Bytes(m.seed, packet[2:]) | 1 }

// first is the first of the rows in which the packet of a hash may be.
func first(hash uint64) int { return int(hash>>32) % (recallRows / recallWays) * recallWays } //nolint:gosec // 32 bits

// find returns the row of a packet that is answered as before, or nil.
func (m *memory) find(state *State, now time.Time, packet []byte, from netip.Addr) *row {
	if len(packet) < headerLen || len(packet) > recallQuery {
		return nil
	}
	if m.state != state {
		m.state = state
		m.epoch++
	}
	hash := m.hash(packet)
	m.last = hash
	at := first(hash)
	for i, tag := range m.tags[at : at+recallWays] {
		if tag != hash {
			continue
		}
		w := &m.rows[at+i]
		if w.epoch == m.epoch && w.second == now.Unix() && string(w.query[:w.asked]) == string(packet[2:]) && (!w.peer.IsValid() || w.peer == from) {
			return w
		}
	}
	return nil
}

// place returns the row that the packet is to be in that was looked for last: its own, else one that is out of date, else one by turn; nil if it is the first time.
func (m *memory) place(second int64) *row {
	hash := m.last
	if seen := &m.once[hash>>32%recallRows]; *seen != hash {
		*seen = hash
		return nil
	}
	at := first(hash)
	best := at + int(m.turn%recallWays)
	m.turn++
	for i := at; i < at+recallWays; i++ {
		if m.rows[i].epoch != m.epoch || m.rows[i].second != second {
			best = i
		}
	}
	for i := at; i < at+recallWays; i++ {
		if m.tags[i] == hash {
			best = i
		}
	}
	m.tags[best] = hash
	return &m.rows[best]
}

// recall answers a packet from memory, and reports whether it has. Limits hold for that, too.
func (x *exchange) recall(dst, packet []byte) (out []byte, ok bool) {
	if x.from.Transport != UDP || x.state == nil || x.logged {
		return nil, false
	}
	if x.memory == nil {
		x.memory = &memory{seed: maphash.MakeSeed()}
	}
	w := x.memory.find(x.state, x.now, packet, x.from.Addr)
	if w == nil {
		return nil, false
	}
	if l := x.state.Limiter; l != nil {
		x.verdict, x.judged = l.Admit(x.from.Addr, x.now.UnixNano()), true
		if x.verdict != rrl.Answer {
			return nil, false
		}
	}
	out = w.recall(dst, packet)
	if x.timed {
		x.time()
	}
	return out, true
}

// recall appends the remembered answer, and counts it.
func (w *row) recall(dst, packet []byte) []byte {
	for _, c := range w.counters {
		if c != nil {
			c.Inc()
		}
	}
	dst = append(dst, packet[0], packet[1])
	return append(dst, w.answer[:w.said]...)
}

// remember keeps the answer of an exchange if it is of the kind.
func (x *exchange) remember(packet, answer []byte) {
	if x.from.Transport != UDP || !x.steer.chosen || x.reply.truncated || x.query.Cookie != nil || len(packet) > recallQuery || len(answer)-2 > recallAnswer {
		return
	}
	m := x.memory
	if m == nil || m.state != x.state {
		return
	}
	w := m.place(x.now.Unix())
	if w == nil {
		return
	}
	w.epoch, w.second, w.counters, w.peer = m.epoch, x.now.Unix(), x.counters(), netip.Addr{}
	w.asked, w.said = copy(w.query[:], packet[2:]), copy(w.answer[:], answer[2:])
	if _, finest := x.client(); finest == 0 {
		w.peer = x.from.Addr
	}
}
