// Package apiclient speaks the control plane's HTTP API for programs. Errors keep
// their [cdn.Kind] and, where there are some, the compile package's mistakes.
package apiclient
