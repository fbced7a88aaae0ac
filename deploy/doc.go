// Package deploy turns a fleet file into running machines: the fleet is compiled
// to a plan (package plan), and a driver carries the plan out. Package local is
// the driver that runs every process of the plan on this machine.
//
// It is not for deciding what a process does once it runs: that is its role's.
package deploy

import _ "embed"

// LabFleet is the fleet file that `nearcast up` uses when none is given.
//
//go:embed examples/lab.yaml
var LabFleet []byte
