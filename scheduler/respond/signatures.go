package respond

import (
	"runtime"
	"sync/atomic"
	"time"

	"nearcast/scheduler/rr"
)

// coldPerSecond is how many signatures are made a second for each processor. One takes 25 to 50 µs, so that who asks
// for names that nobody has thought of, which is the one way to need a new one each time, gets about a third of the
// processors, and everybody else keeps the rest.
const coldPerSecond = 12_000

// coldBurst is of a second's signatures the part that can be made at once, which is one by this.
const coldBurst = 5

// purse is what there is to pay for signatures with: a token bucket. It is safe for concurrent use.
type purse struct {
	cost, room int64        // of a signature, and of all that can be saved, in nanoseconds
	full       atomic.Int64 // when everything is saved again, in nanoseconds since 1970
}

func (p *purse) prepare(perSecond int) {
	if perSecond <= 0 {
		perSecond = coldPerSecond * runtime.GOMAXPROCS(0)
	}
	p.cost = max(int64(time.Second)/int64(perSecond), 1)
	p.room = max(int64(time.Second)/coldBurst, 2*p.cost)
}

// pay pays for a signature, and reports whether there was enough. That there is nothing, anybody can ask for without end: it is paid for with one half of what can be
// saved, so that the other is there for names that exist.
func (p *purse) pay(now time.Time, denial bool) bool {
	t, room := now.UnixNano(), p.room
	if denial {
		room /= 2
	}
	for {
		full := p.full.Load()
		debt := full - t
		if debt < 0 || debt > 2*p.room { // or the clock was set back
			debt = 0
		}
		if debt+p.cost > room {
			return false
		}
		if p.full.CompareAndSwap(full, t+debt+p.cost) {
			return true
		}
	}
}

// signatures are those of a set of the answer, or nil if there are none and none can be made now.
func (x *exchange) signatures(i *item, owner []byte) [][]byte {
	now, signer := x.now.Unix(), x.state.Signer
	if s := signer.AtHand(now, i.signer.Name, owner, &i.set); s != nil {
		return s
	}
	if !x.responder.purse.pay(x.now, i.set.Type == rr.TypeNSEC) {
		return nil
	}
	return signer.Sign(now, i.signer.Name, owner, &i.set, i.key)
}
