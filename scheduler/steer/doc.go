// Package steer makes the map of the moment: from route tables, a configuration and the operator's policies, step by step.
//
// A [Mapper] takes tables in their order and gives out views that answers are made from. It refuses tables that cannot be right, and
// keeps the last map. When no more tables come it lets what was measured grow old, at the same times as every other
// scheduler. Mappers that have seen the same have the same map, bit for bit; one that comes later adopts another's state.
//
// There is no I/O here and no clock: now is a value. A Mapper is not for concurrent use; its views are. It is not for answering (package
// decide), nor for the solving itself (package assign).
package steer
