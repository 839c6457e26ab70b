// Prints what kstatus, the library with which Flux and others wait for resources, makes of Kubernetes objects: it reads a JSON
// array of them and writes one of {"status", "message"}, in the same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type answer struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	answers := make([]answer, 0, len(objects))
	for _, object := range objects {
		// Reads numbers as Kubernetes clients do: generations must be integers.
		resource := &unstructured.Unstructured{}
		if err := resource.UnmarshalJSON(object); err != nil {
			return err
		}
		result, err := status.Compute(resource)
		if err != nil {
			return err
		}
		answers = append(answers, answer{Status: result.Status.String(), Message: result.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}
