package compile

import (
	"fmt"
	"strings"
	"time"

	"nearcast/cdn"
)

// maxPolicyItems bounds each list of a policy.
const maxPolicyItems = 1000

func readPolicy(c cursor) (p cdn.Policy) {
	c.object("a policy",
		need("name", parsed(parsePolicyName)(&p.Name)),
		may("match", reader(readPolicyMatch)(&p.Match)),
		may("allow", some(&p.Allow, maxPOPs, "POP", cdn.ParsePOPName)),
		may("deny", some(&p.Deny, maxPOPs, "POP", cdn.ParsePOPName)),
		may("pin", parsed(cdn.ParsePOPName)(&p.Pin)),
		may("weights", reader(readWeights)(&p.Weights)),
		may("prefer", reader(readPreferences)(&p.Prefer)),
	)
	return p
}

func readPolicyMatch(c cursor) (m cdn.PolicyMatch) {
	c.object("the match of a policy",
		may("countries", some(&m.Countries, maxPolicyItems, "country", parseCountry)),
		may("isps", some(&m.ISPs, maxPolicyItems, "carrier", parseCarrier)),
		may("prefixes", some(&m.Prefixes, maxPolicyItems, "prefix", parsePrefix)),
		may("sites", some(&m.Sites, maxPolicyItems, "site", cdn.ParseSiteName)),
		may("window", reader(readWindow)(&m.Window)),
	)
	return m
}

func readWindow(c cursor) (w cdn.Window) {
	c.object("a window",
		may("from", parsed(parseDate)(&w.From)),
		may("until", parsed(parseDate)(&w.Until)),
		may("days", some(&w.Days, 7, "day", parseDay)),
		may("begin", parsed(parseClock)(&w.Begin)),
		may("end", parsed(parseClock)(&w.End)),
		may("zone", parsed(parseZone)(&w.Zone)),
	)
	if c.n.kind == kindMapping && len(c.n.fields) == 0 {
		c.mistake("leave the key out for always", "needs at least one of from, until, days, begin and end")
	}
	return w
}

func readWeights(c cursor) []cdn.POPWeight {
	var weights map[cdn.POPName]int
	dict(&weights, maxPolicyItems, cdn.ParsePOPName, func(dst *int) func(cursor) { return whole(dst, 1, cdn.MaxPolicyWeight) })(c)
	return inOrder(c, weights, func(pop cdn.POPName, weight int) cdn.POPWeight { return cdn.POPWeight{POP: pop, Weight: weight} })
}

func readPreferences(c cursor) []cdn.POPPreference {
	var preferences map[cdn.POPName]float64
	dict(&preferences, maxPolicyItems, cdn.ParsePOPName, func(dst *float64) func(cursor) {
		return number(dst, "milliseconds", -cdn.MaxPreference, cdn.MaxPreference)
	})(c)
	return inOrder(c, preferences, func(pop cdn.POPName, ms float64) cdn.POPPreference { return cdn.POPPreference{POP: pop, MS: ms} })
}

// inOrder makes a list of what was read of the mapping here, in the order in which it is written.
func inOrder[V, T any](c cursor, read map[cdn.POPName]V, item func(cdn.POPName, V) T) (out []T) {
	for _, e := range c.n.fields {
		pop := cdn.POPName(e.key.text)
		if v, ok := read[pop]; ok {
			out = append(out, item(pop, v))
			delete(read, pop) // a key that is there twice is a mistake already
		}
	}
	return out
}

// checkPolicies reports what is wrong with policies beside each other and beside the POPs.
func checkPolicies(c cursor, f *cdn.Fleet) {
	for _, fault := range f.PolicyFaults() {
		here := c.at(fault.Policy).follow(fault.Field)
		if fault.Missing && c.d.unread(here.path) {
			continue // what could not be read is not nothing
		}
		here.mistake(fault.Hint, "%s", fault.Text)
	}
	if len(c.d.mistakes) > 0 {
		return // what could not be read may be what is left
	}
	if end := f.PolicyDeadEnd(); end != nil {
		c.at(end.Policy).mistake(end.Hint, "%s", end.Text)
	}
	if err := f.CheckPolicies(); err != nil { // whatever else schedulers would refuse
		c.mistake("", "%s", err)
	}
}

// unread reports whether a policy, or the window that a key of that path is in, has something that could not be read.
func (d *decoder) unread(path string) bool {
	around, passOver := path, path+".match."
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		around, passOver = path[:i], "" // a key of a window
	}
	for i := range d.mistakes {
		field := d.mistakes[i].Field
		if strings.HasPrefix(field, around+".") && (passOver == "" || !strings.HasPrefix(field, passOver)) {
			return true
		}
	}
	return false
}

func parsePolicyName(s string) (string, error) {
	if len(s) > 100 {
		return "", fmt.Errorf("has %d octets, at most 100 are allowed", len(s))
	}
	return parseText(s)
}

// parseDate parses an instant. It is kept in UTC, so that equal files make equal fleets wherever they are compiled.
func parseDate(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UTC().Year() < 1970 || t.UTC().Year() > 9999 {
		return time.Time{}, fmt.Errorf("date %q: want it with time and offset (RFC 3339), such as 2027-01-31T08:00:00+01:00", clip(s))
	}
	return t.UTC(), nil
}

func parseDay(s string) (string, error) {
	if _, ok := cdn.ParseDay(s); !ok {
		return "", fmt.Errorf("day %q: want mon, tue, wed, thu, fri, sat or sun", clip(s))
	}
	return s, nil
}

func parseClock(s string) (string, error) {
	switch _, ok := cdn.ParseClock(s); {
	case s == "24:00":
		return "", fmt.Errorf("time of day 24:00: write 00:00 for midnight; an end that is not after begin is on the next day")
	case !ok:
		return "", fmt.Errorf("time of day %q: want hours and minutes, such as 08:30", clip(s))
	}
	return s, nil
}

func parseZone(s string) (string, error) {
	w := cdn.Window{Zone: s}
	if s == "" {
		return "", fmt.Errorf("is empty; leave the key out for UTC")
	}
	if _, err := w.Location(); err != nil {
		return "", fmt.Errorf("time zone %q: want an IANA name, such as Europe/Berlin", clip(s))
	}
	return s, nil
}

func parseCarrier(s string) (string, error) {
	if strings.TrimSpace(s) != s {
		return "", fmt.Errorf("carrier %q has spaces around it", clip(s))
	}
	return parseText(s)
}

func parseText(s string) (string, error) { return s, checkText(s, maxText) }
