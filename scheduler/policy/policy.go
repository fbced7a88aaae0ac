package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/internal/prefixtable"
)

// mask is a set of policies by number.
type mask [cdn.MaxPolicies / 64]uint64

func (m *mask) set(i int)      { m[i/64] |= 1 << (i % 64) }
func (m *mask) has(i int) bool { return m[i/64]&(1<<(i%64)) != 0 }

func (m mask) and(o *mask) mask {
	for i := range m {
		m[i] &= o[i]
	}
	return m
}

// Set is policies compiled for a fleet and for the places of its visitors. It is immutable and safe for concurrent use.
type Set struct {
	rules    []rule
	pops     []cdn.POPName
	places   []locate.Place
	byPlace  []atomic.Pointer[mask] // once asked for; nil if no rule looks at places
	nowhere  mask                   // of a visitor whose place is not known
	prefixes *prefixtable.Table     // numbers of within
	within   []mask
	outside  mask // of addresses in no prefix that a rule names
	sites    map[cdn.SiteName]int
	classes  []mask // of sites; the first is the usual one
}

// rule is a compiled policy.
type rule struct {
	*cdn.Policy
	window window
}

// Compile compiles the fleet's policies. Verdicts speak of POPs by their index in pops, which may lack some of the fleet; places are those of
// the visitors, by number. The error says which policy is wrong and how to mend it.
func Compile(fleet *cdn.Fleet, pops []cdn.POPName, places []locate.Place) (*Set, error) {
	if err := fleet.CheckPolicies(); err != nil {
		return nil, err
	}
	s := &Set{pops: pops, places: places}
	for i := range fleet.Policies {
		p := &fleet.Policies[i]
		w, err := compileWindow(&p.Match.Window)
		if err != nil {
			return nil, cdn.Errorf(cdn.Invalid, "", "policy %q: %w", p.Name, err)
		}
		s.rules = append(s.rules, rule{p, w})
	}
	s.nowhere = s.those(func(m *cdn.PolicyMatch) bool { return len(m.Countries) == 0 && len(m.ISPs) == 0 })
	if s.nowhere != s.those(func(*cdn.PolicyMatch) bool { return true }) {
		s.byPlace = make([]atomic.Pointer[mask], len(places))
	}
	s.addSites()
	return s, s.addPrefixes()
}

// those are the policies whose conditions the function accepts.
func (s *Set) those(accept func(*cdn.PolicyMatch) bool) (m mask) {
	for i := range s.rules {
		if accept(&s.rules[i].Match) {
			m.set(i)
		}
	}
	return m
}

// addSites makes the classes: sites that the same policies name.
func (s *Set) addSites() {
	s.sites = make(map[cdn.SiteName]int)
	s.classes = []mask{s.those(func(m *cdn.PolicyMatch) bool { return len(m.Sites) == 0 })}
	var named []cdn.SiteName
	for i := range s.rules {
		named = append(named, s.rules[i].Match.Sites...)
	}
	slices.Sort(named)
	for _, site := range slices.Compact(named) {
		m := s.those(func(m *cdn.PolicyMatch) bool { return len(m.Sites) == 0 || slices.Contains(m.Sites, site) })
		class := slices.Index(s.classes, m)
		if class < 0 {
			class = len(s.classes)
			s.classes = append(s.classes, m)
		}
		s.sites[site] = class
	}
}

// addPrefixes numbers the sets of policies whose prefixes an address can be in. Prefixes nest, so those that have an address are those
// that have the longest of them.
func (s *Set) addPrefixes() error {
	s.outside = s.those(func(m *cdn.PolicyMatch) bool { return len(m.Prefixes) == 0 })
	var all []netip.Prefix
	for i := range s.rules {
		all = append(all, s.rules[i].Match.Prefixes...)
	}
	var entries []prefixtable.Entry
	for _, p := range all {
		m := s.those(func(m *cdn.PolicyMatch) bool {
			return len(m.Prefixes) == 0 || slices.ContainsFunc(m.Prefixes, around(p))
		})
		n := slices.Index(s.within, m)
		if n < 0 {
			n = len(s.within)
			s.within = append(s.within, m)
		}
		entries = append(entries, prefixtable.Entry{Prefix: p, Number: int32(n)}) //nolint:gosec // there are not so many
	}
	table, err := prefixtable.New(entries)
	if err != nil {
		return cdn.Errorf(cdn.Invalid, "", "policies: %w", err)
	}
	s.prefixes = table
	return nil
}

// around reports whether a prefix has all of another.
func around(p netip.Prefix) func(netip.Prefix) bool {
	return func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) }
}

// Len is how many policies there are.
func (s *Set) Len() int { return len(s.rules) }

// Classes is how many classes of sites there are: at least one. Class 0 is of the sites that no policy names.
func (s *Set) Classes() int { return len(s.classes) }

// Class is the class of a site.
func (s *Set) Class(site cdn.SiteName) int { return s.sites[site] }

// ClassName names a class: "" for class 0, and for others the same name for the same policies' numbers, whatever else there is.
func (s *Set) ClassName(class int) string {
	if class == 0 {
		return ""
	}
	var names []string
	for i := range s.rules {
		if s.classes[class].has(i) && len(s.rules[i].Match.Sites) > 0 {
			names = append(names, strconv.Itoa(i))
		}
	}
	name := strings.Join(names, "+")
	if len(name) > longestClassName {
		name = fmt.Sprintf("#%016x", xxhash.Sum64String(name))
	}
	return name
}

// longestClassName is in octets: class names are parts of names of groups.
const longestClassName = 40

// Sites are the sites of classes other than 0, each with its class, by name.
func (s *Set) Sites() map[cdn.SiteName]int { return s.sites }

// place returns which policies' countries and ISPs a place meets.
func (s *Set) place(n int) *mask {
	if n == locate.None || s.byPlace == nil {
		return &s.nowhere
	}
	if known := s.byPlace[n].Load(); known != nil {
		return known
	}
	at := &s.places[n]
	m := s.those(func(m *cdn.PolicyMatch) bool {
		return (len(m.Countries) == 0 || slices.Contains(m.Countries, at.Location.Country)) &&
			(len(m.ISPs) == 0 || slices.ContainsFunc(m.ISPs, at.Carries))
	})
	s.byPlace[n].Store(&m) // whoever else does finds the same
	return &m
}

// At says which policies are in force. If they are those of before, it is before.
func (s *Set) At(now time.Time, before *Active) *Active {
	var on mask
	for i := range s.rules {
		if s.rules[i].window.has(now) {
			on.set(i)
		}
	}
	if before != nil && before.set == s && before.on == on {
		return before
	}
	return &Active{set: s, on: on}
}

// String names the policies that are in force.
func (a *Active) String() string { return fmt.Sprint(a.set.names(a.on)) }

func (s *Set) names(m mask) []string {
	var names []string
	for i := range s.rules {
		if m.has(i) {
			names = append(names, s.rules[i].Name)
		}
	}
	return names
}
