//go:build !linux

package load

import "time"

// Process is a [Machine] that nothing is known of.
type Process struct{}

// NewProcess returns the Machine of this process.
func NewProcess(...string) *Process { return &Process{} }

// CPU implements [Machine].
func (*Process) CPU() (time.Duration, error) { return 0, nil }

// Memory implements [Machine].
func (*Process) Memory() (uint64, error) { return 0, nil }

// Disks implements [Machine].
func (*Process) Disks() ([]time.Duration, error) { return nil, nil }

// Cores returns how many processor cores the process may use.
func Cores(procs int) float64 { return float64(procs) }
