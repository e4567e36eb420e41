"""`roadclear cache`: show or delete the feature cache."""

import typer

from roadclear.cli.options import JsonOption

cache_app = typer.Typer(help="Show or delete the cache of photo features.", no_args_is_help=True)


@cache_app.command("info")
def cache_info(json: JsonOption = False) -> None:
    """Show the place, contents and size of the cache."""
    from roadclear.features.cache import read_info
    from roadclear.utils.paths import default_cache_path
    from roadclear.utils.tables import to_json

    info = read_info(default_cache_path())
    if json:
        values = {"path": str(info.path), "bytes": info.bytes, "photos": info.photos, "features": info.features}
        print(to_json(values))
    else:
        print(f"{info.path}: {info.photos:,} photos, {info.features:,} features, {info.bytes / 1e6:.1f} MB")


@cache_app.command("clear")
def cache_clear() -> None:
    """Delete the cache. The next training computes all features again."""
    from roadclear.features.cache import clear_cache
    from roadclear.utils.paths import default_cache_path

    clear_cache(default_cache_path())
    print(f"Deleted: {default_cache_path()}")
