package httpdns

import (
	"sync"

	"nearcast/cdn"
	"nearcast/scheduler/view"
)

// remainder is a view of which some POPs are taken away.
type remainder struct {
	view  view.View
	space []view.POP
}

// remainders are memory for them.
type remainders struct{ pool sync.Pool }

// borrow returns a copy of a view, to be given back.
func (r *remainders) borrow(v *view.View) *remainder {
	rest, ok := r.pool.Get().(*remainder)
	if !ok {
		rest = new(remainder)
	}
	rest.space = append(rest.space[:0], v.Usable...)
	rest.view = *v
	rest.view.Usable = rest.space
	return rest
}

func (r *remainders) giveBack(rest *remainder) {
	clear(rest.space)
	rest.view = view.View{}
	r.pool.Put(rest)
}

// close takes a POP away. It reports false if it is not there.
func (r *remainder) close(name cdn.POPName) bool {
	at := r.view.POP(name)
	if at < 0 || len(r.view.Usable[at].Nodes) == 0 {
		return false
	}
	p := r.view.Usable[at]
	r.view.Usable[at] = view.POP{Name: p.Name, Draining: p.Draining, Hash: p.Hash}
	return true
}
