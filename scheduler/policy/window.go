package policy

import (
	"slices"
	"time"

	"nearcast/cdn"
)

// window is a compiled [cdn.Window].
type window struct {
	from, until time.Time
	days        [7]bool
	wholeDay    bool
	begin, end  int // minutes since midnight
	zone        *time.Location
}

// compileWindow needs a window that was checked.
func compileWindow(w *cdn.Window) (window, error) {
	zone, err := w.Location()
	if err != nil {
		return window{}, err
	}
	out := window{from: w.From, until: w.Until, zone: zone, wholeDay: w.Begin == ""}
	out.begin, _ = cdn.ParseClock(w.Begin)
	out.end, _ = cdn.ParseClock(w.End)
	for d := range out.days {
		name := func(day string) bool { parsed, ok := cdn.ParseDay(day); return ok && int(parsed) == d }
		out.days[d] = len(w.Days) == 0 || slices.ContainsFunc(w.Days, name)
	}
	return out, nil
}

// has reports whether a time is in the window. It goes by what clocks on the wall show: an hour that is there twice when summer time ends is in
// the window twice, and one that is left out is not in it.
func (w *window) has(now time.Time) bool {
	if !w.from.IsZero() && now.Before(w.from) || !w.until.IsZero() && !now.Before(w.until) {
		return false
	}
	local := now.In(w.zone)
	today := local.Weekday()
	if w.wholeDay {
		return w.days[today]
	}
	at := local.Hour()*60 + local.Minute()
	if w.begin < w.end {
		return w.days[today] && w.begin <= at && at < w.end
	}
	yesterday := (today + 6) % 7
	return w.days[today] && at >= w.begin || w.days[yesterday] && at < w.end
}
