package main

import (
	"fmt"
	"math"
	"strings"
)

const (
	grain = 20 // seconds of a point of a chart

	chartWidth, panelHeight = 720, 220
	marginLeft, marginTop   = 64, 44
	plotWidth, plotHeight   = 620, 150
)

// point is a piece of a run's course.
type point struct {
	total, overload, placed, regret float64
}

// panel is one of the chart's graphs.
type panel struct {
	title string
	of    func(p point) float64
}

// chart draws what became of the traffic over time, the mean of the seeds, a line for each controller.
func chart(scenario string, results []result) []byte {
	panels := []panel{
		{"traffic on overloaded POPs, %", func(p point) float64 { return 100 * p.overload / max(p.total, 1e-9) }},
		{"mean regret, ms", func(p point) float64 { return p.regret / max(p.placed, 1e-9) }},
	}
	height := marginTop + len(panels)*panelHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">scenario %s</text>`+"\n", marginLeft, escape(scenario))
	for k, name := range controllerNames() {
		x := 330 + 120*k
		fmt.Fprintf(&b, `<line x1="%d" y1="16" x2="%d" y2="16" stroke="%s" stroke-width="2"/><text x="%d" y="20">%s</text>`+"\n", x, x+24, colour(name), x+30, name)
	}
	for i, p := range panels {
		p.draw(&b, marginTop+i*panelHeight, courses(results, p.of))
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func colour(controller string) string {
	return map[string]string{"nearcast": "#0b6e4f", "geo": "#c46210", "binary": "#7a3e9d"}[controller]
}

func escape(s string) string { return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s) }

// courses returns the mean course of each controller.
func courses(results []result, of func(p point) float64) map[string][]float64 {
	out := make(map[string][]float64)
	seeds := make(map[string]float64)
	for _, r := range results {
		if out[r.Controller] == nil {
			out[r.Controller] = make([]float64, len(r.score.course))
		}
		seeds[r.Controller]++
		for i, p := range r.score.course {
			out[r.Controller][i] += of(p)
		}
	}
	for name, list := range out {
		for i := range list {
			list[i] /= seeds[name]
		}
	}
	return out
}

// draw draws the panel below y.
func (p panel) draw(b *strings.Builder, y int, lines map[string][]float64) {
	top := 0.0
	for _, line := range lines {
		for _, v := range line {
			top = max(top, v)
		}
	}
	top = round(top)
	bottom := y + 20 + plotHeight
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", marginLeft, y+10, escape(p.title))
	for i := range 5 {
		v, at := top*float64(i)/4, bottom-plotHeight*i/4
		fmt.Fprintf(b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#ddd"/><text x="%d" y="%d" text-anchor="end">%.3g</text>`+"\n",
			marginLeft, at, marginLeft+plotWidth, at, marginLeft-6, at+4, v)
	}
	for minute := 0; minute <= duration/60; minute += 10 {
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%d min</text>`+"\n", marginLeft+plotWidth*minute*60/duration, bottom+16, minute)
	}
	for _, name := range controllerNames() {
		var path strings.Builder
		for i, v := range lines[name] {
			fmt.Fprintf(&path, "%.1f,%.1f ", float64(marginLeft)+plotWidth*(float64(i)+0.5)*grain/duration, float64(bottom)-plotHeight*v/top)
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n", colour(name), strings.TrimSpace(path.String()))
	}
}

// round returns the next 1, 2 or 5 times a power of ten.
func round(x float64) float64 {
	if x <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, k := range []float64{1, 2, 5} {
		if x <= k*unit {
			return k * unit
		}
	}
	return 10 * unit
}
