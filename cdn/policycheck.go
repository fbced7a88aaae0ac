package cdn

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// MaxPolicies is how many policies a fleet may have.
const MaxPolicies = 256

// CheckPolicies refuses policies of the fleet that cannot be meant, with an error that says which one and how to mend it.
func (f *Fleet) CheckPolicies() error {
	if len(f.Policies) > MaxPolicies {
		return Errorf(Invalid, "", "policies: there are %d, at most %d are possible: join those that say the same", len(f.Policies), MaxPolicies)
	}
	seen := make(map[string]bool, len(f.Policies))
	for i := range f.Policies {
		p := &f.Policies[i]
		if err := p.Check(f); err != nil {
			return Errorf(Invalid, "", "policies[%d] %q: %w", i, clip(p.Name), err)
		}
		if seen[p.Name] {
			return Errorf(Invalid, "", "policies[%d] %q: the name is taken by one before it: give it another", i, clip(p.Name))
		}
		seen[p.Name] = true
	}
	return nil
}

// Check refuses a policy that cannot be meant in the fleet, with an error that says how to mend it.
func (p *Policy) Check(f *Fleet) error {
	switch {
	case p.Name == "" || len(p.Name) > 100:
		return fmt.Errorf("name: it has %d octets, want 1 to 100", len(p.Name))
	case p.Pin != "" && len(p.Weights) > 0:
		return fmt.Errorf("pin and weights: only one of them can decide; make it two policies")
	case len(p.Allow) == 0 && len(p.Deny) == 0 && p.Pin == "" && len(p.Weights) == 0 && len(p.Prefer) == 0:
		return fmt.Errorf("it says nothing: want allow, deny, pin, weights or prefer")
	}
	if err := p.Match.Check(); err != nil {
		return fmt.Errorf("match: %w", err)
	}
	return p.checkPOPs(f)
}

func (p *Policy) checkPOPs(f *Fleet) error {
	for i, pop := range p.Allow {
		if err := steerable(f, pop); err != nil {
			return fmt.Errorf("allow[%d]: %w", i, err)
		}
	}
	for i, pop := range p.Deny {
		if err := steerable(f, pop); err != nil {
			return fmt.Errorf("deny[%d]: %w", i, err)
		}
	}
	if p.Pin != "" {
		if err := steerable(f, p.Pin); err != nil {
			return fmt.Errorf("pin: %w", err)
		}
	}
	var twice []POPName
	for i, w := range p.Weights {
		if err := steerable(f, w.POP); err != nil {
			return fmt.Errorf("weights[%d]: %w", i, err)
		}
		if w.Weight < 1 || w.Weight > 1000 {
			return fmt.Errorf("weights[%d]: %s has %d, want 1 to 1000 (a POP that is to get nothing is left out)", i, w.POP, w.Weight)
		}
		if slices.Contains(twice, w.POP) {
			return fmt.Errorf("weights[%d]: %s is there twice: leave one out", i, w.POP)
		}
		twice = append(twice, w.POP)
	}
	for i, q := range p.Prefer {
		if err := steerable(f, q.POP); err != nil {
			return fmt.Errorf("prefer[%d]: %w", i, err)
		}
		if !(math.Abs(q.MS) <= 1000) { // written so that NaN fails
			return fmt.Errorf("prefer[%d]: %s has %v ms, want -1000 to 1000", i, q.POP, q.MS)
		}
	}
	return nil
}

// steerable refuses a POP that visitors cannot be sent to.
func steerable(f *Fleet, name POPName) error {
	pop := f.POP(name)
	switch {
	case pop == nil:
		return fmt.Errorf("the fleet has no POP %q: add it to pops, or take it out here", clip(string(name)))
	case pop.Tier != TierEdge:
		return fmt.Errorf("POP %s is of tier %q, visitors go to those of tier edge only", name, pop.Tier)
	}
	return nil
}

// Check refuses conditions that no visitor can meet by a mistake of writing.
func (m *PolicyMatch) Check() error {
	for i, c := range m.Countries {
		if len(c) != 2 || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return fmt.Errorf("countries[%d]: %q is no country: want two capitals of ISO 3166-1, such as DE", i, clip(c))
		}
	}
	for i, isp := range m.ISPs {
		if strings.TrimSpace(isp) != isp || isp == "" {
			return fmt.Errorf("isps[%d]: %q is no carrier: want a name, or a number such as AS64500", i, clip(isp))
		}
	}
	for i, p := range m.Prefixes {
		if !p.IsValid() || p.Addr().Is4In6() || p != p.Masked() {
			return fmt.Errorf("prefixes[%d]: %q is no prefix: want one such as 192.0.2.0/24, without bits behind its length", i, p)
		}
	}
	for i, s := range m.Sites {
		if _, err := ParseSiteName(string(s)); err != nil {
			return fmt.Errorf("sites[%d]: %w", i, err)
		}
	}
	if err := m.Window.Check(); err != nil {
		return fmt.Errorf("window: %w", err)
	}
	return nil
}

// Check refuses a window that cannot be meant.
func (w *Window) Check() error {
	if !w.From.IsZero() && !w.Until.IsZero() && !w.From.Before(w.Until) {
		return fmt.Errorf("until: %s is not after from, %s: it would never begin", w.Until.Format(time.RFC3339), w.From.Format(time.RFC3339))
	}
	for i, day := range w.Days {
		if _, ok := ParseDay(day); !ok {
			return fmt.Errorf("days[%d]: %q is no day: want mon, tue, wed, thu, fri, sat or sun", i, clip(day))
		}
	}
	if (w.Begin == "") != (w.End == "") {
		return fmt.Errorf("begin and end: only one of them is there; want both, or none for the whole day")
	}
	for _, t := range []struct{ field, at string }{{"begin", w.Begin}, {"end", w.End}} {
		if _, ok := ParseClock(t.at); !ok && t.at != "" {
			return fmt.Errorf("%s: %q is no time of the day: want one such as 18:30, up to 23:59", t.field, clip(t.at))
		}
	}
	if _, err := w.Location(); err != nil {
		return fmt.Errorf("zone: %w; want a name such as Europe/Berlin, or nothing for UTC", err)
	}
	return nil
}

// Location is the window's time zone.
func (w *Window) Location() (*time.Location, error) {
	if w.Zone == "Local" {
		return nil, fmt.Errorf("%q means another zone on every machine", w.Zone)
	}
	return time.LoadLocation(w.Zone) // "" is UTC
}

// ParseDay reads a day of the week as windows name it, "mon" to "sun".
func ParseDay(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.ToLower(d.String()[:3]) == s {
			return d, true
		}
	}
	return 0, false
}

// ParseClock reads a time of the day, "00:00" to "23:59", as minutes since midnight.
func ParseClock(s string) (minutes int, ok bool) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}
