package edge_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
)

// held is an origin of a content with ranges that holds its answers back from a certain moment on. Its second version
// has the validators of the first: that is why somebody purges it.
type held struct {
	versions [2][]byte
	second   atomic.Bool
	holding  atomic.Bool
	arrived  chan struct{}
	release  chan struct{}
}

func (o *held) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if o.holding.Load() {
		o.arrived <- struct{}{}
		<-o.release
	}
	body := o.versions[0]
	if o.second.Load() {
		body = o.versions[1]
	}
	w.Header().Set("Cache-Control", "max-age=600")
	w.Header().Set("Etag", `"same"`)
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
}

// TestAttackPurgeOfWhatIsBeingCompleted: a visitor is on the way through a content of which some parts are stored when it
// is purged. The parts that are fetched for that visitor afterwards do not bring back the old ones for others.
func TestAttackPurgeOfWhatIsBeingCompleted(t *testing.T) {
	o := &held{
		versions: [2][]byte{content(4*mib, 1), content(4*mib, 2)},
		arrived:  make(chan struct{}, 100), release: make(chan struct{}),
	}
	r := newRig(t, o.ServeHTTP)
	node := r.start(t, "ams-1")
	addr := r.addr("ams-1")
	for _, slice := range []int{0, 2} {
		r.get(t, addr, "/film", "Range", fmt.Sprintf("bytes=%d-%d", slice*mib, (slice+1)*mib-1))
	}
	o.holding.Store(true)
	var visitor sync.WaitGroup
	visitor.Go(func() { r.tryGet(t, addr, "/film") }) // it needs two gaps filled, one before the purge and one after it
	<-o.arrived
	node.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{target("/film")}})
	o.second.Store(true)
	o.holding.Store(false)
	close(o.release)
	visitor.Wait()
	a := r.get(t, addr, "/film", "Range", "bytes=0-99")
	if a.body != string(o.versions[1][:100]) {
		t.Errorf("after the purge the old content comes, %s", a.status())
	}
}

// TestAttackPurgeInOrder: while a node is still applying a purge, what it fetches anew from a node that has not begun is
// not what it will go on serving.
func TestAttackPurgeInOrder(t *testing.T) {
	var body atomic.Value
	body.Store("old")
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		io.WriteString(w, body.Load().(string))
	})
	l1, l2 := r.chain(t)
	r.get(t, r.addr("fra-1"), "/a")
	body.Store("new")
	purge := cdn.Purge{Revision: 1, Targets: []cdn.Target{target("/a")}}
	for i := range 200_000 {
		purge.Targets = append(purge.Targets, target(fmt.Sprint("/other/", i)))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l1.Purge(purge)
	}()
	for r.get(t, r.addr("fra-1"), "/a").word() == "HIT" { // until the first target is gone
	}
	select {
	case <-done:
		t.Skip("the purge was over too soon")
	default:
	}
	<-done
	for _, node := range l2 {
		node.Purge(cdn.Purge{Revision: 1, Targets: purge.Targets[:1]})
	}
	if a := r.get(t, r.addr("fra-1"), "/a"); a.body != "new" {
		t.Errorf("both tiers are purged, and a visitor gets %q, %s", a.body, a.status())
	}
}

// TestAttackPurgeAcrossConfigurations: a purge holds although the rules of the key are others for a while.
func TestAttackPurgeAcrossConfigurations(t *testing.T) {
	var body atomic.Value
	body.Store("old")
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		io.WriteString(w, body.Load().(string))
	}, cdn.Route{CacheKey: cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryNone}}})
	node := r.start(t, "ams-1")
	apply := func(generation int, routes ...cdn.Route) {
		site := r.sites[0]
		site.Routes = routes
		if err := node.Apply(&cdn.Snapshot{Generation: cdn.Generation(generation), Fleet: r.fleet, Sites: []cdn.Site{site}}); err != nil {
			t.Fatal(err)
		}
	}
	r.get(t, r.addr("ams-1"), "/a?x=1")
	apply(2)
	body.Store("new")
	node.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{target("/a?x=1")}})
	apply(3, r.sites[0].Routes...)
	if a := r.get(t, r.addr("ams-1"), "/a?x=1"); a.body != "new" {
		t.Errorf("after a roll-back a visitor gets what was purged: %q, %s", a.body, a.status())
	}
}
