// Package composetest runs the pipeline of docker-compose.yml in containers and talks to it as a user does.
//
// It holds tests only. They run with WOODWORK_CONTAINERS=1 and expect the images to be there; "make test-containers"
// sees to both. Without a container engine they are skipped; with an engine that does not work they fail.
//
// File map: engine_test.go is there an engine; project_test.go one Compose project; user_test.go prompts and answers;
// pipeline_test.go the tests.
package composetest
