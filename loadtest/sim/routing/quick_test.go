package main

import (
	"os"
	"testing"
	"time"
)

func TestQuick(t *testing.T) {
	w, err := readWonderNetwork(os.Getenv("NEARCAST_SHARED") + "/rtt/wondernetwork-2018")
	if err != nil {
		t.Fatal(err)
	}
	for name, net := range map[string]*network{"w": w, "s": synthetic(242, 1)} {
		for _, sc := range []string{"flash+loss"} {
			s, _ := parseScript(sc)
			for seed := range uint64(3) {
				wd, err := newWorld(net, 60, 600, seed+1, s, false)
				if err != nil {
					t.Fatal(err)
				}
				wg, _ := newWorld(net, 60, 600, seed+1, s, true)
				sum := 0.0
				for _, r := range wd.room {
					sum += r
				}
				t.Log("room", sum, wd.room[wd.big], wd.room[wd.gray])
				nc := newNearcast(wd)
				for i, c := range []controller{nc, newGeo(wg), newBinary(wg)} {
					st := time.Now()
					r := run(func() *world {
						if i == 0 {
							return wd
						}
						return wg
					}(), c)
					t.Logf("%s %s %d %d: regret %.2f far %.3f over %.5f dead %.5f churn %.4f/min det %d fo %d  (%v) err %v frozen %d refused %d", name, sc, seed+1, i, r.regret/r.placed, r.far/r.placed, r.overload/r.total, r.dead/r.total, r.moved/(duration/60), r.detected, r.failedOver, time.Since(st).Round(time.Millisecond), nc.err, nc.frozen, nc.measure.refused.Total())
				}
			}
		}
	}
}
