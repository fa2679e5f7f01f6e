// Relay is the downstream service of chaos runs: it repeats its input in capitals while that is still arriving, and
// misbehaves where a prompt asks for it.
package main

import (
	"flag"

	"github.com/woodwork-go/woodwork/framework"
)

func main() {
	var r relay

	framework.Main(framework.Service{
		Name:        "relay",
		Flags:       r.register,
		Handler:     r.handle,
		MaxDuration: maxTurn,
	})
}

// register adds the service's flags.
func (r *relay) register(fs *flag.FlagSet) {
	fs.StringVar(&r.marks, "marks", "", "`folder` that remembers what happened once")
	fs.BoolVar(&r.stamp, "stamp", false, "answer with when the turn began and ended instead")
}
