"""Mistakes in absl's flags and in configuration files, in one line each."""

from collections.abc import Callable

from absl import flags

from distortion_removal.common.errors import UserError


def parser(config: flags.FlagHolder) -> Callable[[list[str]], list[str]]:
  """The `flags_parser` of `absl.app.run` for a program with a configuration.

  Args:
    config: from `config_flags.DEFINE_config_file`.

  Returns:
    A function of the command line's words to those that are no flags. It
    raises UserError for a mistake in the flags, in the file that `--config`
    names or in the fields that are set.
  """

  def parse(words: list[str]) -> list[str]:
    try:
      rest = flags.FLAGS(words)
      # The error of a file that cannot be read waits for the first use.
      hasattr(config.value, "lock")
      return rest
    except (AttributeError, KeyError) as error:
      raise UserError(f"--config: {_no_field(error)}") from None
    except SyntaxError as error:
      raise UserError(
        f"--config={error.filename}: not Python: {error}"
      ) from None
    except OSError as error:
      raise UserError(f"--config: {str(error).rpartition('] ')[2]}") from None
    except flags.Error as error:
      # A traceback may be in it; the last line says what was wrong.
      raise UserError(str(error).strip().splitlines()[-1]) from None

  return parse


def _no_field(error: Exception) -> str:
  cause = error.args[0]
  if not isinstance(cause, KeyError):
    return str(cause)
  # On a line of its own, ml_collections asks whether a near name was meant.
  named = cause.args[0].replace("\nDid", "; did")
  return f"no such field (configs/default.py has them all): {named}"
