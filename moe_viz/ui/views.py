"""tmp"""
import streamlit as st
def strips(shown, layer): pass
def tabs(run, shown, layer, is_live): pass
