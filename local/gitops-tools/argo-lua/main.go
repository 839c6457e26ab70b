// Runs a Lua script as Argo CD runs health checks and actions: in the same interpreter, with the same few libraries, and with the
// resource as the global obj. The script's path is the argument; a JSON array of objects is read, and one of results written.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "argo-lua:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: argo-lua SCRIPT < OBJECTS")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var objects []any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	results := make([]json.RawMessage, 0, len(objects))
	for _, object := range objects {
		result, err := runScript(string(script), object)
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

func runScript(script string, object any) (json.RawMessage, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	// What Argo CD opens for scripts that do not ask for more: not even the string library.
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	state.PreloadModule(lua.OsLibName, openTime)
	state.SetGlobal("obj", luajson.DecodeValue(state, object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	return luajson.Encode(state.Get(-1))
}

// openTime is the library os without what reaches out of the interpreter.
func openTime(state *lua.LState) int {
	all := lua.NewState(lua.Options{SkipOpenLibs: true})
	lua.OpenOs(all)
	module := state.NewTable()
	for _, name := range []string{"time", "date"} {
		function := all.GetField(all.GetGlobal(lua.OsLibName), name).(*lua.LFunction)
		module.RawSetString(name, state.NewFunction(function.GFunction))
	}
	state.Push(module)
	return 1
}
