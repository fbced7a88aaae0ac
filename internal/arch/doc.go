// Package arch holds the architecture and the house rules as code: who may import
// whom, what a pure package may not do, how long things may be. Its own test runs
// it over this repository; a rule that is not in here is only an opinion.
//
// It is not a linter for correctness: go vet and staticcheck are. It reads source
// files without type information, so that it works on code that does not compile.
package arch
