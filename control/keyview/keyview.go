// Package keyview is what people see of the keys that sign zones: states, what comes next, and which DS records the parents are to have. It is pure.
//
// It is not for changing keys (control/zonekey).
package keyview

import (
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/control/wire"
	"nearcast/control/zonekey"
	"nearcast/internal/dnskey"
)

// Of shows the keys of a configuration.
func Of(snap *cdn.Snapshot, now time.Time) wire.DNSSEC {
	shown := Show(Zones(&snap.Fleet), snap.ZoneKeys, zonekey.TimesOf(&snap.Fleet), now)
	shown.Generation = snap.Generation
	return shown
}

// Zones are those of a fleet that are signed; none if it does not sign.
func Zones(f *cdn.Fleet) (zones []cdn.Domain) {
	if !f.DNS.Signed {
		return nil
	}
	zones = append(zones, f.Zone)
	for i := range f.Zones {
		if f.Zones[i].Name != f.Zone {
			zones = append(zones, f.Zones[i].Name)
		}
	}
	return zones
}

// Show shows keys that sign zones; without zones nothing is signed.
func Show(zones []cdn.Domain, keys []cdn.ZoneKey, times zonekey.Times, now time.Time) wire.DNSSEC {
	shown := wire.DNSSEC{Signed: len(zones) > 0, Keys: []wire.ZoneKey{}, DS: []string{}}
	for i := range keys {
		k := &keys[i]
		step := zonekey.NextOf(k, times)
		one := wire.ZoneKey{ID: k.ID, Tag: dnskey.Tag(k.Public), State: k.State, Since: k.Since, Made: k.Made, Next: string(step.To), NextAt: step.At}
		if k.State == cdn.KeyRetired {
			one.Next = "gone"
		}
		shown.Keys = append(shown.Keys, one)
	}
	if !shown.Signed {
		return shown
	}
	for _, k := range zonekey.ParentKeys(keys) {
		for _, z := range outermost(zones) {
			shown.DS = append(shown.DS, dnskey.DSText(z, k.Public))
		}
	}
	if from := zonekey.DSFrom(keys, times); now.Before(from) {
		shown.DSFrom = from
	}
	return shown
}

// outermost are those zones that are not within another one. The others' DS records are made by the schedulers, which have the zone above them.
func outermost(zones []cdn.Domain) (outer []cdn.Domain) {
	all := make(map[string]bool, len(zones))
	for _, z := range zones {
		all[string(z)] = true
	}
	for _, z := range zones {
		_, above, _ := strings.Cut(string(z), ".")
		for above != "" && !all[above] {
			_, above, _ = strings.Cut(above, ".")
		}
		if above == "" {
			outer = append(outer, z)
		}
	}
	return outer
}
