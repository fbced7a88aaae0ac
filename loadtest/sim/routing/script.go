package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Times are seconds from the end of the warm-up.
const (
	warmUp   = 900  // in which nothing happens or is counted: controllers measure
	duration = 2400 // what is counted

	crowdShare = 0.08 // of the demand, is in the flash crowd
	crowdPeak  = 2.5  // times as much
	crowdFrom  = 600
	crowdRise  = 120 // seconds until the peak
	crowdTo    = 1500
	crowdFall  = 300

	lossAt     = 900
	coldAt     = 1200 // when the lost POP comes back
	coldFor    = 300  // until its caches are warm
	coldRoom   = 0.5  // of its capacity, while all must be fetched
	grayFrom   = 600
	grayTo     = 1500
	grayLoss   = 0.2
	cutFrom    = 600
	cutTo      = 1200
	misjudging = 0.75
)

// script is what happens.
type script struct {
	flash, loss, gray, partition, oneway, churn, skew, cold, misjudged bool
}

// parts are what --scenario may name.
func parts() map[string]func(*script) {
	return map[string]func(*script){
		"steady":    func(*script) {},
		"flash":     func(s *script) { s.flash = true },
		"loss":      func(s *script) { s.loss = true },
		"gray":      func(s *script) { s.gray = true },
		"partition": func(s *script) { s.partition = true },
		"oneway":    func(s *script) { s.partition, s.oneway = true, true },
		"churn":     func(s *script) { s.churn = true },
		"skew":      func(s *script) { s.skew = true },
		"cold":      func(s *script) { s.loss, s.cold = true, true },
		"misjudged": func(s *script) { s.misjudged = true },
	}
}

// words are what may stand beside the parts, or for one, so that they can be called by their full names: gray-failure, clock-skew.
func words() map[string]string {
	return map[string]string{
		"crowd": "flash", "grey": "gray", "one": "oneway", "way": "", "failure": "", "node": "", "nodes": "", "clock": "", "return": "",
		"demand": "", "biggest": "", "pop": "", "of": "", "the": "", "and": "",
	}
}

// parseScript reads names with + or - between them.
func parseScript(name string) (s script, err error) {
	known, beside := parts(), words()
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return strings.ContainsRune("+-,_ ", r) }) {
		if is, there := beside[part]; there {
			part = is
		}
		if part == "" {
			continue
		}
		f := known[part]
		if f == nil {
			return s, fmt.Errorf("--scenario: %q is none of %s; several go together as in flash+loss", part, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		f(&s)
	}
	if strings.TrimSpace(name) == "" {
		return s, fmt.Errorf("--scenario is blank: want one of %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	return s, nil
}

// wanted is what a group asks for at second t.
func (w *world) wanted(g, t int) float64 {
	d := w.demand[g]
	if w.script.flash && w.flash[g] {
		d *= 1 + (crowdPeak-1)*swell(t)
	}
	return d
}

// swell rises to 1, stays and falls.
func swell(t int) float64 {
	up := float64(t-crowdFrom) / crowdRise
	down := 1 - float64(t-crowdTo)/crowdFall
	return min(1, max(0, min(up, down)))
}

// alive reports whether a POP serves anybody at second t.
func (w *world) alive(p, t int) bool {
	return !w.script.loss || p != w.big || t < lossAt || w.script.cold && t >= coldAt
}

// capacity is what a POP can carry at second t.
func (w *world) capacity(p, t int) float64 {
	c := w.declared(p, t)
	if w.script.cold && p == w.big && t >= coldAt && t < coldAt+coldFor {
		c *= coldRoom + (1-coldRoom)*float64(t-coldAt)/coldFor
	}
	return c
}

// declared is the capacity of the nodes that are there. That its caches are cold nobody declares.
func (w *world) declared(p, t int) float64 {
	away := 0
	if w.script.churn {
		for _, o := range w.outs {
			if o.pop == p && t >= o.from && t < o.to {
				away++
			}
		}
	}
	return w.room[p] * max(1-float64(away)/float64(w.nodes[p]), 0.1)
}

// loss is the share of packets that are lost on the way to a POP.
func (w *world) loss(p, t int) float64 {
	if w.script.gray && p == w.gray && t >= grayFrom && t < grayTo {
		return grayLoss
	}
	return 0.001
}

// cut reports whether the schedulers' probes of a POP get no answer although its visitors do.
func (w *world) cut(p, t int) bool {
	return w.script.partition && w.hidden[p] && t >= cutFrom && t < cutTo
}

// mute reports whether a POP's reports do not arrive: they do in a partition that is one-way.
func (w *world) mute(p, t int) bool {
	return !w.alive(p, t) || w.cut(p, t) && !w.script.oneway
}
