// Judges Kubernetes objects with the healthCheckExprs of a Flux Kustomization, in Flux's own code: it reads a JSON object of
// {"exprs", "objects"} and writes an array with the status of each object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type request struct {
	Exprs   kustomize.HealthCheckExpressions `json:"exprs"`
	Objects []json.RawMessage                `json:"objects"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "flux-health:", err)
		os.Exit(1)
	}
}

func run() error {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	evaluator, err := cel.NewStatusEvaluator(&asked.Exprs)
	if err != nil {
		return err
	}
	answers := make([]string, 0, len(asked.Objects))
	for _, object := range asked.Objects {
		resource := &unstructured.Unstructured{}
		if err := resource.UnmarshalJSON(object); err != nil {
			return err
		}
		result, err := evaluator.Evaluate(context.Background(), resource)
		if err != nil {
			return err
		}
		answers = append(answers, result.Status.String())
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}
