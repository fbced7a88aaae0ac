package conformance_test

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/internal/freeport"
)

// chain starts an edge node and a regional one behind it, for one site that adds no rules;
// visitors ask the edge node.
func (e *env) chain() {
	e.t.Helper()
	port := uint16(freeport.Port(e.t))
	node := func(name, pop, addr string) cdn.Node {
		return cdn.Node{Name: cdn.NodeName(name), POP: cdn.POPName(pop), Roles: []cdn.Role{cdn.RoleEdge}, Addresses: []netip.Addr{netip.MustParseAddr(addr)}}
	}
	snapshot := &cdn.Snapshot{
		Generation: 1,
		Fleet: cdn.Fleet{
			Zone: "cdn.test", HTTPPort: port,
			POPs:  []cdn.POP{{Name: "fra", Region: "europe", Tier: cdn.TierEdge}, {Name: "ams", Region: "europe", Tier: cdn.TierRegional}},
			Nodes: []cdn.Node{node("fra-1", "fra", "127.9.1.1"), node("ams-1", "ams", "127.9.2.1")},
		},
		Sites: []cdn.Site{{Name: "shop", Domains: []cdn.Domain{domain}, Origin: cdn.Origin{URLs: []string{e.origin.url}}}},
	}
	for i := range snapshot.Fleet.Nodes {
		n := &snapshot.Fleet.Nodes[len(snapshot.Fleet.Nodes)-1-i] // the regional one first
		addr := netip.AddrPortFrom(n.Addresses[0], port).String()
		node := e.run(edge.Config{Node: n.Name, Addr: addr, Secret: "a secret of the fleet"}, func(s *edge.Server) error { return s.Apply(snapshot) })
		e.addr = e.visitorsAddr(node)
	}
}

// throughTiers runs a test before two tiers, with a hit at the second: another host's
// request is not it, so the first tier is made to forget by a second edge's view.
func throughTiers(test func(*env)) func(*env) {
	return func(e *env) {
		e.chain()
		test(e)
	}
}

// Two tiers are to behave as one cache does, but for telling of each other.
var tiers = []requirement{
	{
		name: "RFC9111/4.2.3/tiers-age", level: must, text: "tell one age through two tiers: the time since the origin made the response",
		test: throughTiers(func(e *env) {
			e.has(e.get(), "Age", "")
			e.advance(20 * time.Second)
			e.has(e.get(), "Age", "20")
			e.advance(39 * time.Second)
			e.has(e.get(), "Age", "59")
			e.asked(1)
			e.advance(time.Second)
			e.served(e.get(), "v2")
		}),
	},
	{
		name: "RFC9111/4.2.3/tiers-origin-age", level: must, text: "count the Age of the origin's own cache through two tiers once",
		test: throughTiers(func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Age: 30"))
			e.get()
			e.advance(10 * time.Second)
			e.has(e.get(), "Age", "40")
			e.advance(20 * time.Second)
			e.get()
			e.asked(2)
		}),
	},
	{
		name: "RFC9211/2/tiers", level: must, text: "give every tier that has handled a request one member, the nearest to the origin first",
		test: throughTiers(func(e *env) {
			members := e.cacheStatus(e.get())
			if len(members) != 2 || members[0].id != "ams-1" || members[1].id != "fra-1" || members[0].params["fwd"] == "" || members[1].params["fwd"] == "" {
				e.t.Errorf("%v, want ams-1 and fra-1, both forwarding", members)
			}
			members = e.cacheStatus(e.get())
			if len(members) != 1 || members[0].id != "fra-1" || members[0].params["hit"] == "" {
				e.t.Errorf("%v, want a hit at fra-1 alone", members)
			}
		}),
	},
	{
		name: "RFC9110/7.6.3/tiers", level: must, text: "name every tier in Via, both ways",
		test: throughTiers(func(e *env) {
			a := e.get()
			if got := e.last().field("Via"); got != e.version()+" fra-1, 1.1 ams-1" {
				e.t.Errorf("the origin was sent Via: %q", got)
			}
			e.has(a, "Via", "1.1 ams-1, 1.1 fra-1")
		}),
	},
	{
		name: "RFC9111/4.1/tiers", level: must, text: "select by Vary as one cache does, and pass Vary on as it came",
		test: throughTiers(func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: Accept-Language"))
			for i, lang := range []string{"de", "en", "de", "en"} {
				a := e.get("Accept-Language: " + lang)
				e.served(a, []string{"v1", "v2"}[i%2])
				e.has(a, "Vary", "Accept-Language")
			}
			e.asked(2)
		}),
	},
	{
		name: "RFC9111/4.3.4/tiers", level: must, text: "renew both tiers by one 304 of the origin",
		test: throughTiers(func(e *env) {
			e.replies(withETag(`"1"`), notModified(`ETag: "1"`, "Cache-Control: max-age=60", "X-New: 1"))
			e.get()
			e.advance(61 * time.Second)
			for range 2 {
				a := e.get()
				e.served(a, "v1")
				e.has(a, "X-New", "1")
			}
			e.advance(30 * time.Second)
			a := e.get()
			e.served(a, "v1")
			e.has(a, "Age", "30")
			e.asked(2)
		}),
	},
	{
		name: "RFC9111/4.3.2/tiers", level: must, text: "answer a visitor's conditions with 304 wherever the response is",
		test: throughTiers(func(e *env) {
			e.replies(withETag(`"1"`))
			e.status(e.get(`If-None-Match: "1"`), http.StatusNotModified)
			e.status(e.get(`If-None-Match: "1"`), http.StatusNotModified)
			e.served(e.get(), "v1")
			e.status(e.get(`If-None-Match: "0"`), http.StatusOK)
			e.asked(1)
		}),
	},
	{
		name: "RFC9111/4.3.3/tiers", level: must, text: "replace the response in both tiers by a new one",
		test: throughTiers(func(e *env) {
			e.replies(withETag(`"1"`), withETag(`"2"`))
			e.get()
			e.advance(61 * time.Second)
			e.served(e.get(), "v2")
			e.served(e.get(), "v2")
			e.asked(2)
		}),
	},
	{
		name: "RFC9111/4.4/tiers", level: must, text: "invalidate in both tiers by an unsafe request",
		test: throughTiers(func(e *env) {
			e.get()
			e.ask(http.MethodPost, "/a")
			e.served(e.get(), "v3")
		}),
	},
	{
		name: "RFC9111/4.2.4/tiers", level: mustNot, text: "serve stale from any tier what must be revalidated",
		test: throughTiers(unreachable(ok("Cache-Control: max-age=10, must-revalidate"), 11*time.Second, isError)),
	},
	{
		name: "RFC9111/3/tiers", level: mustNot, text: "store in any tier what one cache would not",
		test: both(
			throughTiers(notStored(ok("Cache-Control: no-store, max-age=60"))),
			throughTiers(notStored(ok("Cache-Control: private, max-age=60"))),
		),
	},
	{
		name: "RFC9110/14.2/tiers", level: should, text: "serve ranges through two tiers",
		test: throughTiers(func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.partOf(e.get("Range: bytes=10-19"), content()[10:20], "bytes 10-19/100")
			e.served(e.get(), content())
			e.partOf(e.get("Range: bytes=-5"), content()[95:], "bytes 95-99/100")
		}),
	},
	{
		name: "RFC9213/2.2/tiers", level: must, text: "heed CDN-Cache-Control in both tiers",
		test: throughTiers(lifetime2(100 * time.Second)),
	},
	{
		name: "RFC8586/2/tiers", level: must, text: "tell a request that passes both tiers from one that loops",
		test: throughTiers(func(e *env) {
			e.served(e.get(), "v1")
			if n := len(strings.Split(e.last().field("CDN-Loop"), ",")); n < 1 {
				e.t.Errorf("CDN-Loop: %q", e.last().field("CDN-Loop"))
			}
		}),
	},
}

// lifetime2 is lifetime for one environment: used before d, and not at it.
func lifetime2(d time.Duration) func(*env) {
	return func(e *env) {
		e.replies(ok("Cache-Control: max-age=10", "CDN-Cache-Control: max-age=100"))
		e.get()
		e.advance(d - time.Second)
		e.served(e.get(), "v1")
		e.advance(time.Second)
		e.served(e.get(), "v2")
	}
}
