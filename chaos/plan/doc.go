// Package plan draws up which faults a run injects and when: the same seed gives the same plan.
package plan
