package pools

import (
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"time"
)

// oneWay says how long a packet is under way from one node to another.
type oneWay func(from, to netip.AddrPort) time.Duration

// What a made-up network is like: fibre carries 200 km in a millisecond, along ways 1.6 times as long as they could be, and both ends add something.
const (
	lanOneWay      = 100 * time.Microsecond
	earthRadius    = 6371.0 // km
	kmPerMs        = 200.0
	detour         = 1.6
	lastMileOneWay = 1.0 // ms
)

// nodeAddr returns the address of the i-th node.
func nodeAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 7946) //nolint:gosec // below 10,000
}

// nodeIndex is the inverse of nodeAddr.
func nodeIndex(a netip.AddrPort) int {
	b := a.Addr().As4()
	return int(b[1])<<16 | int(b[2])<<8 | int(b[3])
}

// delays returns how far the nodes are from each other.
func delays(o *Options, seed uint64) (oneWay, error) {
	switch {
	case o.Matrix != "":
		return matrixDelays(o.Matrix)
	case o.Kind == "lan":
		return func(_, _ netip.AddrPort) time.Duration { return lanOneWay }, nil
	}
	return globe(o.Nodes, seed), nil
}

// globe puts two nodes in a row, as of one POP, in each of as many random places.
func globe(nodes int, seed uint64) oneWay {
	chance := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // not a secret
	at := make([][3]float64, nodes/2+1)
	for i := range at {
		z, angle := 2*chance.Float64()-1, 2*math.Pi*chance.Float64()
		r := math.Sqrt(1 - z*z)
		at[i] = [3]float64{r * math.Cos(angle), r * math.Sin(angle), z}
	}
	return func(from, to netip.AddrPort) time.Duration {
		a, b := at[nodeIndex(from)/2], at[nodeIndex(to)/2]
		if a == b {
			return lanOneWay
		}
		cos := a[0]*b[0] + a[1]*b[1] + a[2]*b[2]
		km := earthRadius * math.Acos(max(-1, min(1, cos)))
		return time.Duration((km/kmPerMs*detour + lastMileOneWay) * float64(time.Millisecond))
	}
}

// matrixDelays reads a matrix of round trips. Node i is at site i/2, over again if there are fewer.
func matrixDelays(file string) (oneWay, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(f).ReadAll()
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	sites := len(rows) - 1
	if sites < 1 || len(rows[0]) != sites+1 {
		return nil, fmt.Errorf("%s: has %d rows, and as many columns are wanted", file, len(rows))
	}
	ms := make([][]float64, sites)
	for i, row := range rows[1:] {
		ms[i] = make([]float64, sites)
		for j, cell := range row[1:] {
			if ms[i][j], err = roundTrip(cell, i == j); err != nil {
				return nil, fmt.Errorf("%s: row %d, column %d: %w", file, i+2, j+2, err)
			}
		}
	}
	return func(from, to netip.AddrPort) time.Duration {
		return time.Duration(ms[nodeIndex(from)/2%sites][nodeIndex(to)/2%sites] / 2 * float64(time.Millisecond))
	}, nil
}

// unknownRTT stands in for a blank cell, in milliseconds.
const unknownRTT = 150

func roundTrip(cell string, same bool) (float64, error) {
	switch {
	case same:
		return 0.2, nil
	case cell == "":
		return unknownRTT, nil
	}
	ms, err := strconv.ParseFloat(cell, 64)
	if err != nil || !(ms >= 0 && ms <= 10_000) {
		return 0, fmt.Errorf("%q is no round trip from 0 to 10000 ms", cell)
	}
	return ms, nil
}
