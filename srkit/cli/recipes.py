"""`srkit recipe`."""

from __future__ import annotations

import typer

from srkit.cli.imports import heavy_imports
from srkit.cli.options import Json, Overrides, RecipeFile, Sample
from srkit.cli.output import new_console, print_json
from srkit.components.commands import CommandGroup

app = typer.Typer(help="Show and check recipes.", no_args_is_help=True, cls=CommandGroup)


@app.command(name="list")
def list_recipes(json: Json = False) -> None:
    """List the recipes that are part of srkit: commands take them by name."""
    from rich.table import Table

    from srkit.recipe.files import load_tree
    from srkit.recipe.shipped import FOLDER, shipped_names

    trees = {name: load_tree(FOLDER / f"{name}.yaml") for name in shipped_names()}
    if json:
        print_json({name: str(tree["description"]) for name, tree in trees.items()})
        return
    table = Table("recipe", "description", box=None, pad_edge=False)
    for name, tree in trees.items():
        table.add_row(name, str(tree["description"]))
    console = new_console()
    console.print(table)
    steps = f"\nTry one: srkit train NAME --sample. Copy one to change it: {FOLDER}"
    console.print(steps, highlight=False, soft_wrap=True)


@app.command()
def show(recipe: RecipeFile, overrides: Overrides = None, sample: Sample = False) -> None:
    """Print a recipe with everything that it extends, all overrides and all defaults."""
    import yaml

    with heavy_imports():
        from srkit.assembly.build import complete, read
    from srkit.components.registry import Registry

    registry = Registry.discover()
    loaded = read(recipe, registry, overrides or [], sample=sample)
    loaded, _ = complete(loaded, registry, str(recipe))
    print(yaml.safe_dump(loaded.dump(), sort_keys=False, allow_unicode=True), end="")


@app.command()
def check(recipe: RecipeFile, overrides: Overrides = None, sample: Sample = False) -> None:
    """Check a recipe: build its components and run them on a few images, without downloads."""
    with heavy_imports():
        from accelerate import PartialState

        from srkit.assembly.build import SPLITS, assemble, read
        from srkit.training.rehearsal import rehearse
    from srkit.components.registry import Registry

    registry = Registry.discover()
    loaded = read(recipe, registry, overrides or [], sample=sample, splits=SPLITS)
    built = assemble(loaded, registry, str(recipe), splits=SPLITS, download=False)
    rehearse(built, PartialState(cpu=True), str(recipe), fetch=False)
    sizes = ", ".join(f"{split} {len(data)}" for split, data in built.data.items())
    print(f"{recipe}: valid; images: {sizes or 'none'}")
    for note in [*built.notes(), *built.overlaps()]:
        print(note)
    for path, addresses in built.downloads.items():
        print(f"{path}: a run will download {', '.join(addresses)}")


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from srkit.components.registry import Registry
    from srkit.recipe.schema import recipe_schema

    print_json(recipe_schema(Registry.discover()))
