package bustest

import "strings"

// Promise is one case of the suite, for documents and reports.
type Promise struct {
	// Part of the port, such as "mailbox".
	Part string
	// Name says what is promised within the part.
	Name string
	// Faults says that it is tested behind [Faulty], too.
	Faults bool
}

// Promises returns every case of the suite, in the order in which they begin.
func Promises() []Promise {
	some := cases()
	all := make([]Promise, 0, len(some))

	for _, c := range some {
		part, name, _ := strings.Cut(c.name, "/")
		all = append(all, Promise{Part: part, Name: name, Faults: c.faults})
	}

	return all
}
