package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/internal/leaktest"
	"nearcast/scheduler/api"
	"nearcast/scheduler/apiclient"
)

func TestMain(m *testing.M) { leaktest.Main(m, 0) }

// source tells what it was asked.
type source struct{}

func (source) Explain(name cdn.Domain, client netip.Addr) (*cdn.RouteExplanation, error) {
	if name != "www.shop.example" {
		return nil, cdn.Errorf(cdn.NotFound, "", "no site serves %s", name)
	}
	return &cdn.RouteExplanation{Scheduler: "core-1", Name: name, Client: client.String(), POP: "fra"}, nil
}

func (source) Status() (*cdn.MapStatus, error) {
	return &cdn.MapStatus{Scheduler: "core-1", Groups: 3}, nil
}

func (source) Versions() []cdn.MapVersion { return []cdn.MapVersion{{Epoch: "e", Version: 7}} }

func (source) Accept() (*cdn.MapAcceptance, error) {
	return &cdn.MapAcceptance{Scheduler: "core-1", Accepted: "3 of 6 POPs"}, nil
}

func (source) State() ([]byte, error) { return []byte("state\x00"), nil }

func (source) Relief(pop cdn.POPName) (*cdn.Relief, error) {
	return &cdn.Relief{Default: "lon", Groups: map[cdn.GroupName]cdn.POPName{"net 192.0.2.0/24": pop}}, nil
}

// serve starts a server and returns its URL.
func serve(t *testing.T) string {
	t.Helper()
	reg := prometheus.NewRegistry()
	s, err := api.New(api.Config{Addr: "127.0.0.1:0", Token: "tok", Source: source{}, Log: slog.New(slog.DiscardHandler), Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("metrics: %v, %v", problems, err)
		}
	})
	return "http://" + s.Addr().String()
}

func client(t *testing.T, url, token string) *apiclient.Client {
	t.Helper()
	c := apiclient.New(url, token)
	t.Cleanup(c.Close)
	return c
}

func TestAnswers(t *testing.T) {
	c := client(t, serve(t), "tok")
	check := func(got, want any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	route, err := c.Route(t.Context(), "WWW.Shop.example", "::ffff:192.0.2.7")
	check(route, &cdn.RouteExplanation{Scheduler: "core-1", Name: "www.shop.example", Client: "192.0.2.7", POP: "fra"}, err)
	status, err := c.Map(t.Context())
	check(status, &cdn.MapStatus{Scheduler: "core-1", Groups: 3}, err)
	versions, err := c.Versions(t.Context())
	check(versions, []cdn.MapVersion{{Epoch: "e", Version: 7}}, err)
	state, err := c.State(t.Context())
	check(string(state), "state\x00", err)
	acceptance, err := c.Accept(t.Context())
	check(acceptance, &cdn.MapAcceptance{Scheduler: "core-1", Accepted: "3 of 6 POPs"}, err)
	relief, err := c.Relief(t.Context(), "fra")
	check(relief, &cdn.Relief{Default: "lon", Groups: map[cdn.GroupName]cdn.POPName{"net 192.0.2.0/24": "fra"}}, err)
}

func TestBadQuestions(t *testing.T) {
	url := serve(t)
	c := client(t, url, "tok")
	for _, bad := range []struct {
		name, client string
		kind         cdn.Kind
		says         string
	}{
		{"www.other.example", "192.0.2.7", cdn.NotFound, "no site serves www.other.example"},
		{"www..example", "192.0.2.7", cdn.Invalid, "name: "},
		{"www.shop.example", "192.0.2", cdn.Invalid, `client "192.0.2": want an IP address`},
	} {
		if _, err := c.Route(t.Context(), bad.name, bad.client); cdn.KindOf(err) != bad.kind || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%s for %s: %v", bad.name, bad.client, err)
		}
	}
	if resp, err := new(http.Client).Get(url + "/v1/map/accept"); err != nil || resp.StatusCode == http.StatusOK {
		t.Errorf("accepted by a GET without a token: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if _, err := client(t, url, "wrong").Accept(t.Context()); cdn.KindOf(err) != cdn.Unauthenticated {
		t.Errorf("accepted with a wrong token: %v", err)
	}
	if _, err := c.Relief(t.Context(), "no pop"); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("relief: %v", err)
	}
	if _, err := client(t, url, "wrong").Map(t.Context()); cdn.KindOf(err) != cdn.Unauthenticated {
		t.Errorf("a wrong token: %v", err)
	}
	resp, err := new(http.Client).Get(url + "/v1/map/state")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("no token: %s", resp.Status)
	}
}
