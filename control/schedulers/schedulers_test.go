package schedulers_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/control/schedulers"
	"nearcast/internal/httpjson"
)

const token = "the-token"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scheduler is the API of a scheduler, over HTTP.
func scheduler(t *testing.T, name cdn.NodeName, digest string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/route", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("name") == "nobody.example" {
			httpjson.WriteError(w, cdn.Errorf(cdn.NotFound, "", "no site has the domain %s", r.FormValue("name")))
			return
		}
		httpjson.Write(w, http.StatusOK, cdn.RouteExplanation{Scheduler: name, Name: cdn.Domain(r.FormValue("name")), Client: r.FormValue("client")})
	})
	mux.HandleFunc("GET /v1/map", func(w http.ResponseWriter, _ *http.Request) {
		httpjson.Write(w, http.StatusOK, cdn.MapStatus{Scheduler: name, Map: cdn.MapVersion{Digest: digest}})
	})
	mux.HandleFunc("POST /v1/map/accept", func(w http.ResponseWriter, _ *http.Request) {
		if digest == "" {
			httpjson.WriteError(w, cdn.Errorf(cdn.Conflict, "", "nothing is frozen"))
			return
		}
		httpjson.Write(w, http.StatusOK, cdn.MapAcceptance{Scheduler: name, Accepted: "less than " + digest})
	})
	return serve(t, httpjson.RequireBearer(token, mux))
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// dead is an address at which nobody listens.
func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func client(t *testing.T, token string, urls ...string) *schedulers.Client {
	t.Helper()
	c, err := schedulers.New(urls, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestRoute(t *testing.T) {
	one, two, nobody := scheduler(t, "core-1", ""), scheduler(t, "core-2", ""), dead(t)
	other := serve(t, http.NotFoundHandler())
	text := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }))
	tests := []struct {
		name      string
		urls      []string
		scheduler cdn.NodeName
		ask       cdn.Domain
		want      string // the scheduler that answers, or a part of the error
		kind      cdn.Kind
	}{
		{"first", []string{one, two}, "", "a.example", "core-1", cdn.Other},
		{"first that lives", []string{nobody, two}, "", "a.example", "core-2", cdn.Other},
		{"named", []string{one, two}, "core-2", "a.example", "core-2", cdn.Other},
		{"named, while others are dead", []string{nobody, two}, "core-2", "a.example", "core-2", cdn.Other},
		{"unknown", []string{one, two}, "core-3", "a.example", "there is no scheduler core-3; control is told of core-1, core-2", cdn.NotFound},
		{"perhaps the dead one", []string{nobody, two}, "core-1", "a.example", "scheduler core-1 does not answer, or control is not told of it: scheduler " + nobody + " cannot be asked", cdn.Unavailable},
		{"refused", []string{one, two}, "", "nobody.example", "scheduler " + one + ": no site has the domain nobody.example", cdn.NotFound},
		{"refused by name", []string{one, two}, "core-2", "nobody.example", "no site has the domain nobody.example", cdn.NotFound},
		{"none", nil, "", "a.example", "start it with --scheduler URL", cdn.Unavailable},
		{"all dead", []string{nobody}, "", "a.example", "no scheduler answers: scheduler " + nobody + " cannot be asked (is it running, and is that the address of its API?)", cdn.Unavailable},
		{"no scheduler", []string{other}, "", "a.example", "scheduler " + other + " answers 404 Not Found: is that the address of its API?", cdn.Unavailable},
		{"no JSON", []string{text}, "", "a.example", "does not decode", cdn.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := client(t, token, tt.urls...).Route(t.Context(), tt.ask, netip.MustParseAddr("2001:db8::1"), tt.scheduler)
			switch {
			case err != nil && (!strings.Contains(err.Error(), tt.want) || cdn.KindOf(err) != tt.kind):
				t.Errorf("got %v of kind %s, want %s of kind %s", err, cdn.KindOf(err), tt.want, tt.kind)
			case err == nil && (tt.kind != cdn.Other || string(e.Scheduler) != tt.want || e.Name != tt.ask || e.Client != "2001:db8::1"):
				t.Errorf("got %+v, want it of %s", e, tt.want)
			}
		})
	}
}

// A scheduler that cannot be asked does not hide what the others say.
func TestMaps(t *testing.T) {
	one, nobody, two := scheduler(t, "core-1", "aa"), dead(t), scheduler(t, "core-2", "bb")
	maps, err := client(t, token, one, nobody, two+"/", one).Maps(t.Context())
	if err != nil || len(maps) != 3 {
		t.Fatalf("%+v, %v; want three", maps, err)
	}
	for i, digest := range []string{"aa", "", "bb"} {
		switch m := maps[i]; {
		case digest == "" && (m.Map != nil || !strings.Contains(m.Error, nobody) || m.URL != nobody):
			t.Errorf("the dead one: %+v", m)
		case digest != "" && (m.Error != "" || m.Map.Map.Digest != digest):
			t.Errorf("%+v, want the digest %s", m, digest)
		}
	}
	maps, err = client(t, "other", one).Maps(t.Context())
	if err != nil || len(maps) != 1 || !strings.Contains(maps[0].Error, "scheduler "+one+" does not take control's token: give both the same --secret-file") {
		t.Errorf("with another token: %+v, %v", maps, err)
	}
}

// Each scheduler says what it accepts, or that there is nothing, or why it does not answer.
func TestAccept(t *testing.T) {
	one, nobody, two := scheduler(t, "core-1", "aa"), dead(t), scheduler(t, "core-2", "")
	got, err := client(t, token, one, nobody, two).Accept(t.Context())
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v; want three", got, err)
	}
	if got[0].Accepted != "less than aa" || got[0].Scheduler != "core-1" || got[0].Believes || got[0].Error != "" {
		t.Errorf("the frozen one: %+v", got[0])
	}
	if got[1].Error == "" || got[1].Believes || got[1].Accepted != "" || got[1].URL != nobody {
		t.Errorf("the dead one: %+v", got[1])
	}
	if got[2].Error != "" || !got[2].Believes || got[2].Accepted != "" {
		t.Errorf("the one that is not frozen: %+v", got[2])
	}
	if _, err := client(t, token).Accept(t.Context()); cdn.KindOf(err) != cdn.Unavailable {
		t.Errorf("without schedulers: %v", err)
	}
}

func TestNew(t *testing.T) {
	for _, bad := range []string{"", "core-1", "core-1:7080", "nats://core-1:1", "http://", "http://a/b", "http://a?x=1", "http://u:p@a", "http://a:b:c"} {
		if _, err := schedulers.New([]string{bad}, token); cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("%q: %v, want invalid", bad, err)
		}
	}
}
