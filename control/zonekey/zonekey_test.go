package zonekey_test

import (
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/control/zonekey"
)

var (
	now   = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	times = zonekey.TimesOf(&cdn.Fleet{})
)

// keys parses "a:active b:ready"; all are in their state since age ago.
func keys(text string, age time.Duration) (all []cdn.ZoneKey) {
	for one := range strings.FieldsSeq(text) {
		id, state, _ := strings.Cut(one, ":")
		all = append(all, cdn.ZoneKey{ID: id, State: cdn.KeyState(state), Since: now.Add(-age), Made: now.Add(-age - time.Hour)})
	}
	return all
}

func format(keys []cdn.ZoneKey) string {
	var texts []string
	for _, k := range keys {
		texts = append(texts, k.ID+":"+string(k.State))
	}
	return strings.Join(texts, " ")
}

func TestTimes(t *testing.T) {
	if want := (zonekey.Times{Publish: 2 * time.Hour, Retire: 121 * time.Hour, Unsigned: 25 * time.Hour}); times != want {
		t.Errorf("%+v, want %+v", times, want)
	}
	f := &cdn.Fleet{Zones: []cdn.Zone{{Records: []cdn.Record{{TTL: cdn.Duration(72 * time.Hour)}}}}}
	if got := zonekey.TimesOf(f).Unsigned; got != 73*time.Hour {
		t.Errorf("with a TTL of three days the first DS may be given away after %s", got)
	}
}

func TestAdd(t *testing.T) {
	for _, tt := range []struct{ have, want, err string }{
		{"", "new:active", ""},
		{"a:active", "a:active new:published", ""},
		{"a:active b:published", "", "a roll-over is under way: key b is being published; it is ready at 2026-11-26 13:00:01 UTC, then give its DS to the parent and confirm it"},
		{"a:active b:ready", "", "a roll-over is under way: key b waits for its DS at the parent; give it to the parent, then: nearcast dnssec confirm"},
		{"a:retired b:active", "", "a roll-over is under way: key a is still needed by what resolvers have cached; it is gone at 2026-12-01 12:00:01 UTC, then try again"},
	} {
		got, err := zonekey.Add(keys(tt.have, time.Hour), cdn.ZoneKey{ID: "new"}, times, now)
		check(t, "add to "+tt.have, got, err, tt.want, tt.err, cdn.Conflict)
		if err == nil && !got[len(got)-1].Since.Equal(now) {
			t.Error("since another time than now")
		}
	}
}

func check(t *testing.T, what string, got []cdn.ZoneKey, err error, want, wantErr string, kind cdn.Kind) {
	t.Helper()
	switch {
	case wantErr == "" && (err != nil || format(got) != want):
		t.Errorf("%s: %s, %v; want %s", what, format(got), err, want)
	case wantErr != "" && (err == nil || err.Error() != wantErr || cdn.KindOf(err) != kind):
		t.Errorf("%s:\n%v, want\n%s of kind %s", what, err, wantErr, kind)
	}
}

func TestConfirm(t *testing.T) {
	for _, tt := range []struct {
		have, id, want, err string
		kind                cdn.Kind
	}{
		{"a:active b:ready", "", "a:retired b:active", "", 0},
		{"a:active b:ready", "b", "a:retired b:active", "", 0},
		{"a:active b:ready", "c", "", "there is no key c; nearcast dnssec status lists them", cdn.NotFound},
		{"a:active b:ready", "a", "", "key a is active already; nothing has to be confirmed", cdn.Conflict},
		{"a:active b:published", "", "", "key b is not ready: until 2026-11-26 13:00:01 UTC resolvers may have the keys without it, and with its DS at the parent they could not validate; keep the old DS at the parent until then", cdn.Conflict},
		{"a:retired b:active", "a", "", "key a is retired: its DS must not be at the parent any more", cdn.Conflict},
		{"a:active", "", "", "no key waits for its DS; to begin a roll-over: nearcast dnssec roll", cdn.Conflict},
		{"", "", "", "no key waits for its DS; to begin a roll-over: nearcast dnssec roll", cdn.Conflict},
	} {
		have := keys(tt.have, time.Hour)
		got, err := zonekey.Confirm(have, tt.id, times, now)
		check(t, "confirm "+tt.id+" of "+tt.have, got, err, tt.want, tt.err, tt.kind)
		if format(have) != tt.have {
			t.Errorf("%s became %s: what was given is changed", tt.have, format(have))
		}
	}
}

func TestAdvance(t *testing.T) {
	for _, tt := range []struct {
		have string
		age  time.Duration
		want string
	}{
		{"a:active", 1000 * time.Hour, "a:active"},
		{"a:active b:published", 2 * time.Hour, "a:active b:published"},
		{"a:active b:published", 2*time.Hour + time.Second, "a:active b:ready"},
		{"a:active b:published", -time.Hour, "a:active b:published"}, // a clock that went back
		{"a:active b:ready", 1000 * time.Hour, "a:active b:ready"},
		{"a:retired b:active", 121 * time.Hour, "a:retired b:active"},
		{"a:retired b:active", 121*time.Hour + time.Second, "b:active"},
	} {
		have := keys(tt.have, tt.age)
		got, steps := zonekey.Advance(have, times, now)
		if format(got) != tt.want || (steps != nil) != (tt.want != tt.have) || format(have) != tt.have {
			t.Errorf("%s after %s: %s (%v), want %s", tt.have, tt.age, format(got), steps, tt.want)
		}
	}
}

func TestParent(t *testing.T) {
	for have, want := range map[string]string{
		"": "", "a:active": "a:active", "a:active b:published": "a:active", "a:active b:ready": "b:ready", "a:retired b:active": "b:active",
	} {
		if got := format(zonekey.ParentKeys(keys(have, 0))); got != want {
			t.Errorf("of %q %q is to be at the parent, want %q", have, got, want)
		}
	}
	first := keys("a:active", 0)
	first[0].Made = first[0].Since
	if got := zonekey.DSFrom(first, times); !got.Equal(now.Add(25*time.Hour + time.Second)) {
		t.Errorf("the first DS may be given away at %s", got)
	}
	if got := zonekey.DSFrom(keys("a:active", 0), times); !got.IsZero() {
		t.Errorf("a DS that followed on another is kept back until %s", got)
	}
}

func TestLate(t *testing.T) {
	for _, tt := range []struct {
		before, have string
		age          time.Duration
		late         bool
	}{
		{"a:active", "a:active b:published", time.Minute, false},
		{"a:active", "a:active b:published", time.Hour, false},
		{"a:active", "a:active b:published", time.Hour + time.Second, true},
		{"a:active b:published", "a:active b:published", 3 * time.Hour, false},
		{"a:active", "a:active b:ready", 3 * time.Hour, false},
		{"a:active", "a:active", 3 * time.Hour, false},
	} {
		have := keys(tt.have, tt.age)
		got, steps := zonekey.Late(keys(tt.before, 0), have, now)
		last := got[len(got)-1]
		if (steps != nil) != tt.late || last.Since.Equal(now) != tt.late || !have[len(have)-1].Since.Equal(now.Add(-tt.age)) || !zonekey.Same(got, have) {
			t.Errorf("%s after %s, since %s: %v, %v", tt.have, tt.before, tt.age, last, steps)
		}
	}
}

func TestJumps(t *testing.T) {
	for _, tt := range []struct {
		before, next string
		want         int
	}{
		{"", "a:active", 0},
		{"a:active", "a:active", 0},
		{"a:active", "a:active b:published", 0},
		{"a:active b:ready", "a:retired b:active", 0},
		{"a:retired b:active", "b:active", 0},
		{"a:active", "a:retired b:active", 1},
		{"a:active b:published", "a:active", 0}, // the roll-over is given up
		{"a:retired b:active", "a:active", 1},
		{"a:active", "b:active", 2},
	} {
		if got := zonekey.Jumps(keys(tt.before, 0), keys(tt.next, 0)); len(got) != tt.want {
			t.Errorf("from %q to %q: %q, want %d", tt.before, tt.next, got, tt.want)
		}
	}
}
