// Package wire is the JSON of the control plane's HTTP API, shared by its server
// and its client. Configuration itself travels as the YAML that people write.
package wire
