// Command fronts proves the fronts of a scheduler.
package main
