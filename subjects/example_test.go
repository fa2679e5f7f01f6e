package subjects_test

import (
	"fmt"

	"github.com/woodwork-go/woodwork/subjects"
)

func Example() {
	ns, err := subjects.New("shop", 4)
	if err != nil {
		fmt.Println(err)

		return
	}
	session := subjects.Encode("alice@example.com")
	subject, err := ns.Log(session, subjects.Derive("turn-1", "llm"))
	if err != nil {
		fmt.Println(err)

		return
	}
	fmt.Println(subject)
	sub, err := subjects.Parse(subject)
	fmt.Println(sub.Kind, sub.Session, err)
	// Output:
	// ww.shop.log.2.e--alice_40example_2Ecom.d--llm-77a58156f907a3e7f22348582f4ea26d748d9cfa
	// log e--alice_40example_2Ecom <nil>
}

func ExampleCheckID() {
	fmt.Println(subjects.CheckID("session", "alice@home"))
	// Output:
	// session "alice@home" is no id: the character at byte 6 can't be in one; use 1 to 64 letters A-Z or a-z, digits, '-' and '_'
}
