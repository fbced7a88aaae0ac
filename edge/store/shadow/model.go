package shadow

import (
	"math"

	"nearcast/cdn"
	"nearcast/edge/store/policy"
)

// model is one shadow, and what it has counted of late.
type model struct {
	policy  string
	open    func(budget int64) *policy.Shadow
	scale   float64 // its memory, as a multiple of the real one
	thin    uint    // it sees 1 in 1 << thin of the sample only, so that it has no more entries than others
	maxBody int64   // octets; what is larger is not kept
	choice  bool    // maxBody is one that the real cache may be set to

	shadow *policy.Shadow
	peak   int64 // entries that it has memory for
	weight int64 // of an entry's memory, 1 usually

	asked, suited, hits amount // of the sample; suited are those that are not too large
	counted             amount // of those counted, what is not too large
}

// amount is so many requests, or parts of them, and the octets of their bodies.
type amount struct{ requests, octets float64 }

func (a *amount) add(octets int64) {
	a.requests++
	a.octets += float64(octets)
}

func (a *amount) scale(by float64) {
	a.requests *= by
	a.octets *= by
}

// live is the name of the policy that the real cache has.
const live = "live"

// lineup makes all models, that of the real cache first.
func lineup(ram int64, disk bool) []*model {
	all := []*model{{policy: live, open: policy.NewModel, scale: 1}}
	for _, curve := range []struct {
		scale float64
		thin  uint
	}{{0.25, 0}, {0.5, 0}, {2, 1}, {4, 2}, {8, 3}} {
		all = append(all, &model{policy: live, open: policy.NewModel, scale: curve.scale, thin: curve.thin})
	}
	all = append(all,
		&model{policy: "lru", open: policy.NewLRU, scale: 1},
		&model{policy: "sieve", open: policy.NewSIEVE, scale: 1},
		&model{policy: "s3-fifo", open: func(b int64) *policy.Shadow { return policy.NewS3FIFO(b, 1) }, scale: 1},
		&model{policy: "w-tinylfu", open: func(b int64) *policy.Shadow { return policy.NewWTinyLFU(b, 10, false) }, scale: 1})
	for _, cut := range cuts(ram) {
		to := "-to-" + cdn.Size(cut).String()
		all = append(all, &model{policy: "lru" + to, open: policy.NewLRU, scale: 1, maxBody: cut})
		if disk {
			all = append(all, &model{policy: live + to, open: policy.NewModel, scale: 1, maxBody: cut, choice: true})
		}
	}
	for _, m := range all {
		if m.maxBody == 0 {
			m.maxBody = math.MaxInt64
		}
		m.renew(ram, 0)
	}
	return all
}

// budget is the model's own memory if the sample is 1 in 1 << shift.
func (m *model) budget(ram int64, shift uint) int64 {
	return max(int64(m.scale*float64(ram))>>(shift+m.thin), 1)
}

// renew makes the shadow anew, empty.
func (m *model) renew(ram int64, shift uint) {
	m.shadow, m.peak, m.weight = m.open(m.budget(ram, shift)), 0, 1
}

// resample goes over to another sample.
func (m *model) resample(ram int64, shift uint) {
	m.peak = max(m.peak, m.shadow.Stats().Entries)
	mask := maskOf(shift + m.thin)
	m.shadow.Resize(m.budget(ram, shift), func(hash uint64) bool { return hash&mask == 0 })
}

// follow sets a model of the real policy as that is set.
func (m *model) follow(r policy.Report) {
	if m.shadow.Follow(r) {
		m.weight = max(m.weight, int64(r.Ghosts+2)/2)
	}
}

func (m *model) access(r *request, shift uint) {
	if r.hash&maskOf(shift+m.thin) != 0 {
		return
	}
	m.asked.add(r.body)
	if r.body > m.maxBody {
		return
	}
	m.suited.add(r.body)
	if m.shadow.Access(r.hash, r.size) {
		m.hits.add(r.body)
	}
}

func (m *model) count(r *request) {
	if r.body <= m.maxBody {
		m.counted.add(r.body)
	}
}

func (m *model) age(keep float64) {
	m.asked.scale(keep)
	m.suited.scale(keep)
	m.hits.scale(keep)
	m.counted.scale(keep)
}

// ratios are the shares of requests and octets that were hits. What the sample has more than its share is hot and makes hits, and what it lacks would have
// made some (the adjustment of SHARDS).
func (m *model) ratios(counted amount) (objects, octets float64) {
	share := math.Exp2(-float64(m.thin))
	all, suited := counted, m.counted
	all.scale(share)
	suited.scale(share)
	return ratio(adjusted(m.hits.requests, m.suited.requests, suited.requests), all.requests),
		ratio(adjusted(m.hits.octets, m.suited.octets, suited.octets), all.octets)
}

// adjusted is how many hits there would have been, had as many been asked for as was to be expected.
func adjusted(hits, asked, expected float64) float64 {
	return min(max(hits+expected-asked, 0), expected)
}

func ratio(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return min(part/whole, 1)
}

func maskOf(bits uint) uint64 { return 1<<bits - 1 }
